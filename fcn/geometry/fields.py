"""Sizes, memory, stride and receptive field of a net, from its operations.

For the receptive field, position ``i`` of a blob is said to depend on the input from
``scale·i + low`` to ``scale·i + high``, bounds that hold for every ``i``.  Padding counts as input
outside of the image.
"""

import math
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
    known = {}
    for op in ops:
        if op.kind == "input":
            known[op.tops[0]] = (op.channels, height, width)
            continue
        channels, *size = known[op.bottoms[0]]
        if op.kind == "concat":
            channels = sum(known[name][0] for name in op.bottoms)
        elif op.kind == "crop":
            reference = known[op.bottoms[1]][1:]
            size = [size[axis] if op.offset[axis] is None else reference[axis] for axis in (0, 1)]
        elif op.kind == "window":
            size = [_windows(op, axis, size[axis]) for axis in (0, 1)]
        elif op.kind == "upsample":
            size = [
                op.stride[axis] * (size[axis] - 1) + op.kernel[axis] - 2 * op.pad[axis]
                for axis in (0, 1)
            ]
        if min(size) < 1:
            raise InferenceError(
                f"an image of {width}x{height} (width x height) is too small: "
                f"nothing is left of it at layer '{op.layer}'"
            )
        for top in op.tops:
            known[top] = (op.channels or channels, size[0], size[1])
    return known


def _windows(op: Op, axis: int, length: int) -> int:
    """How many windows fit; Caffe's pooling also takes the last, incomplete one."""
    kernel, stride, pad = op.kernel[axis], op.stride[axis], op.pad[axis]
    room = length + 2 * pad - kernel
    if not op.ceil:
        return room // stride + 1
    count = -(-room // stride) + 1
    # Caffe clips a last window that would begin in the padding.
    return count - 1 if pad and (count - 1) * stride >= length + pad else count


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
    known = {}
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
    kernel, stride, pad = op.kernel[axis], op.stride[axis], op.pad[axis]
    if op.kind == "window":
        # Position j covers stride·j - pad to stride·j - pad + kernel - 1.
        return Field(scale * stride, low - scale * pad, high + scale * (kernel - 1 - pad))
    if op.kind == "upsample":
        # Position y gets i where stride·i - pad <= y <= stride·i - pad + kernel - 1.
        return Field(
            scale / stride,
            low + scale * Fraction(pad - kernel + 1, stride),
            high + scale * Fraction(pad, stride),
        )
    if op.kind == "crop":
        offset = op.offset[axis] or 0
        return Field(scale, low + scale * offset, high + scale * offset)
    return field


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


def widest(geometries) -> Geometry:
    """The Geometry of several blobs at once."""
    before, after, periods = zip(*geometries)
    period = 1
    for other in periods:
        period = period * other // math.gcd(period, other)
    return Geometry(max(before), max(after), period)
