"""What a layer becomes on the native kernels: its form, and what its operation is added with.

A form is made from a layer's settings and the shapes of its bottoms, before its weights are known;
it tells which operation of a program the layer becomes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from caffe.layer import Shape
from caffe.native import memory
from caffe.native.memory import Size
from caffe.native.parts import Geometry, Place
from caffe.native.program import Act, Finish, Map, Program

__all__ = ["ACT", "AFFINE", "ALIAS", "CROP", "SUM", "Call", "Form", "size_of", "with_bias"]

ALIAS = "alias"  # beside the kinds of memory.py: the tops are the first bottom
AFFINE, SUM, ACT = "affine", "sum", "act"  # parts of a finish
CROP = "crop"  # part of an operation that can begin anywhere in its result


class Call(NamedTuple):
    """What an operation is added with."""

    program: Program
    xs: list[Map]
    out: Map
    weights: list[torch.Tensor]
    scale: torch.Tensor | None  # of a form that takes it; for others it is in the weights
    finish: Finish
    place: Place | None = None  # of the maps, where they are parts; for a form that moves
    crop: tuple[int, int] = (0, 0)  # rows and columns before the result; for a form that crops


class Form(NamedTuple):
    """What a layer becomes.

    Attributes:
        add: adds the operation; None where the kind (:data:`ALIAS`, JOIN, CUT) says it all.
        kind: how bottoms and tops may share memory, see ``memory.Use``.
        reads: which of the bottoms are read, by their places.
        finishes: whether the operation takes a finish.
        outputs: the axis of the weights that counts the channels of the top, where a factor by
            channel can be multiplied into them; None where not.
        refers: whether the first weights are read where they lie in each run.
        part: for a layer that can be part of the finish of what is before it, which; an
            :data:`AFFINE` one is known by its layer, an :data:`ACT` by ``act``.
        act: from the weights.
        moves: how its kernel does, where a part of the bottom is enough for a part of the top.
        partly: whether the operation can compute that part.
        crops: whether the operation can leave out what a Crop of its result does.
    """

    add: Callable[[Call], None] | None
    kind: str = memory.COMPUTE
    reads: tuple[int, ...] = (0,)
    finishes: bool = False
    outputs: int | None = None
    refers: bool = False
    part: str = ""
    act: Callable[[list[torch.Tensor]], Act] | None = None
    moves: Geometry | None = None
    partly: bool = True
    crops: bool = False


def size_of(shape: Shape) -> Size | None:
    """The map of a blob (N, C, H, W) or (N, C)."""
    if len(shape) == 2:
        return shape[0], 1, 1, shape[1]
    return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else None


def with_bias(call: Call, place: int = 1) -> Finish:
    """The finish with the layer's own bias in it, unless it has one that knows of it."""
    if call.finish.bias is None and len(call.weights) > place:
        return call.finish._replace(bias=call.weights[place])
    return call.finish
