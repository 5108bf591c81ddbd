"""Where a net has layers that norm_step.py runs as one: BatchNorm, Scale and what follows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from caffe.layer.batch_norm import BatchNorm
from caffe.layer.eltwise import Eltwise
from caffe.layer.extensions.relu6 import ReLU6
from caffe.layer.scale import Scale
from caffe.layer.split import Split
from caffe.native.norm import Act
from caffe.net.wiring import Graph

__all__ = ["Form", "norm_forms"]

_RELU, _RELU6 = Act(0, float("inf")), Act(0, 6)


class Form(NamedTuple):
    """Layers ``first`` to ``end - 1``: a BatchNorm, a Scale of its top in place; then, where
    ``other`` is not None, the sum of that with the blob ``other``; then, where ``act`` is not None,
    an activation in place; then, where ``splits``, a Split for two readers.

    Attributes:
        place: which bottom of the sum is the Scale's top.
        out: the blob that the activation leaves, or what comes before it.
    """

    first: int
    end: int
    other: int | None
    place: int
    act: Act | None
    out: int
    splits: bool


def norm_forms(graph: Graph) -> Iterable[Form]:
    """All of a graph, in its order."""
    for i in range(len(graph.layers) - 1):
        if not _is_pair(graph, i):
            continue
        end, top, other, place = i + 2, graph.tops[i], None, 0
        if _is_sum_with(graph, end, top[0]):
            place = graph.bottoms[end].index(top[0])
            other, top = graph.bottoms[end][1 - place], graph.tops[end]
            end += 1
        act = _act_of(graph, end, top)
        end += act is not None
        splits = _is_split(graph, end, top)
        yield Form(i, end + splits, other, place, act, top[0], splits)


def _is_pair(graph: Graph, i: int) -> bool:
    norm, scale = graph.layers[i : i + 2]
    if type(norm) is not BatchNorm or type(scale) is not Scale or not scale.learned:
        return False
    if not graph.bottoms[i + 1] == graph.tops[i + 1] == graph.tops[i]:
        return False
    if any(graph.loss_weights[i]) or any(graph.loss_weights[i + 1]):
        return False
    axis = scale.param.scale_param.axis
    return axis in (1, -3) and scale.blobs[0].dims == (norm.channels,)


def _is_sum_with(graph: Graph, i: int, blob: int) -> bool:
    """Whether layer ``i`` adds this blob and another one."""
    layer = graph.layers[i] if i < len(graph.layers) else None
    if type(layer) is not Eltwise or layer.operation != layer.SUM or layer.coeff != [1, 1]:
        return False
    a, b = graph.bottoms[i]
    return blob in (a, b) and a != b and not layer.in_place and not any(graph.loss_weights[i])


def _is_split(graph: Graph, i: int, blobs: list[int]) -> bool:
    """Whether layer ``i`` is a Split of these blobs for two readers."""
    if i >= len(graph.layers) or type(graph.layers[i]) is not Split:
        return False
    return graph.bottoms[i] == blobs and len(graph.tops[i]) == 2 and not any(graph.loss_weights[i])


def _act_of(graph: Graph, i: int, blobs: list[int]) -> Act | None:
    """What layer ``i`` is in place on these blobs, None where it is no activation of these."""
    if graph.is_relu_of(i, blobs):
        return _RELU
    layer = graph.layers[i] if i < len(graph.layers) else None
    if type(layer) is not ReLU6 or layer.slope or any(graph.loss_weights[i]):
        return None
    return _RELU6 if graph.bottoms[i] == graph.tops[i] == blobs else None
