"""Sizes, memory, stride and receptive field of a net, from its operations.

For the receptive field, position ``i`` of a blob is said to depend on the input from
``scale·i + low`` to ``scale·i + high``, bounds that hold for every ``i``.  Padding counts as input
outside of the image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from fcn.geometry.ops import InferenceError, Op

__all__ = ["Field", "Geometry", "fields", "geometry", "memory", "shapes", "widest"]

FLOAT = 4  # bytes


class Field(NamedTuple):
    """What a position of a blob depends on, along one axis."""

    scale: Fraction
    low: Fraction
    high: Fraction


class Geometry(NamedTuple):
    """Of the scores along one axis: pixel ``y`` depends on ``y - before`` to ``y + after``.

    All blobs' grids coincide with those of a crop that begins at a multiple of ``period``.
    """

    before: int
    after: int
    period: int


def shapes(ops: list[Op], height: int, width: int) -> dict[str, tuple[int, int, int]]:
    """Each blob's (channels, height, width) for an image of ``height`` × ``width``."""
    known: dict[str, tuple[int, int, int]] = {}
    for op in ops:
        if op.kind == "input":
            known[op.tops[0]] = (op.channels or 0, height, width)
            continue
        channels, *size = known[op.bottoms[0]]
        if op.kind == "concat":
            channels = sum(known[name][0] for name in op.bottoms)
        elif op.kind == "crop":
            reference = known[op.bottoms[1]][1:]
            size = [size[axis] if op.offset[axis] is None else reference[axis] for axis in (0, 1)]
        elif op.kind in ("window", "upsample"):
            size = [window.size(length) for window, length in zip(op.windows, size)]
        if min(size) < 1:
            raise InferenceError(
                f"an image of {width}x{height} (width x height) is too small: "
                f"nothing is left of it at layer '{op.layer}'"
            )
        for top in op.tops:
            known[top] = (op.channels or channels, size[0], size[1])
    return known


def memory(ops: list[Op], height: int, width: int, unrolled: bool) -> int:
    """Bytes of a forward pass: all blobs, what the layers keep, and what they need to work.

    ``unrolled``: BVLC Caffe keeps, for each convolution, a matrix of all its windows.  Otherwise
    twice the largest blob is taken for copies in the order that the convolutions prefer.
    """
    known = shapes(ops, height, width)
    counts = {name: shape[0] * shape[1] * shape[2] for name, shape in known.items()}
    kept = sum(op.kept[unrolled] * counts[op.tops[0]] for op in ops)
    work = 2 * max(counts.values())
    if unrolled:
        work = 0
        for op in ops:
            if op.columns:
                inner, outer = counts[op.bottoms[0]], counts[op.tops[0]]
                across, along = known[op.bottoms[0]], known[op.tops[0]]
                work += op.columns * (
                    outer * across[0] // along[0]
                    if op.kind == "window"
                    else inner * along[0] // across[0]
                )
    return FLOAT * (sum(counts.values()) + kept + work)


def fields(ops: list[Op], axis: int) -> dict[str, Field]:
    """Each blob's Field along one axis, 0 for height and 1 for width."""
    known: dict[str, Field] = {}
    for op in ops:
        if op.kind == "input":
            field = Field(Fraction(1), Fraction(0), Fraction(0))
        else:
            # A crop's second bottom only says the size.
            bottoms = op.bottoms[:1] if op.kind == "crop" else op.bottoms
            field = _joined([known[name] for name in bottoms], op)
            field = _through(field, op, axis)
        for top in op.tops:
            known[top] = field
    return known


def _joined(parts: list[Field], op: Op) -> Field:
    if len({part.scale for part in parts}) > 1:
        raise InferenceError(f"layer '{op.layer}' joins blobs of different strides")
    return Field(parts[0].scale, min(p.low for p in parts), max(p.high for p in parts))


def _through(field: Field, op: Op, axis: int) -> Field:
    scale, low, high = field
    if op.kind == "crop":
        offset = op.offset[axis] or 0
        return Field(scale, low + scale * offset, high + scale * offset)
    step, before, after = op.windows[axis].reach()
    return Field(scale * step, low + scale * before, high + scale * after)


def geometry(ops: list[Op], scores: str, axis: int) -> Geometry:
    """The Geometry of the blob ``scores`` along one axis."""
    known = fields(ops, axis)
    field = known[scores]
    if field.scale != 1:
        raise InferenceError(
            f"blob '{scores}' has one position for {field.scale} pixels; "
            "expected scores for every pixel"
        )
    period = 1
    for other in known.values():
        # A stride of p/q (below 1 after upsampling) repeats after p pixels.
        period = period * other.scale.numerator // math.gcd(period, other.scale.numerator)
    return Geometry(max(0, math.ceil(-field.low)), max(0, math.ceil(field.high)), period)


def widest(geometries: Iterable[Geometry]) -> Geometry:
    """The Geometry of several blobs at once."""
    before, after, periods = zip(*geometries)
    period = 1
    for other in periods:
        period = period * other // math.gcd(period, other)
    return Geometry(max(before), max(after), period)
