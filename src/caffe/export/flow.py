"""FlowNet's layers: correlations of two maps, pictures moved by a flow, other sizes by a filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from caffe.export.graph import Graph, Value
from caffe.export.shape import cut
from caffe.export.table import needs_fixed, writes

Values = Sequence[Value]

_CPU = torch.device("cpu")


@writes("ChannelNorm")
def channel_norm(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.node("ReduceL2", bottoms[0].name, axes=[1], keepdims=1)]


@writes("Correlation", "Correlation1D")
def correlation(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """For each displacement down, all those across at once: the second map's columns are gathered
    once for each place and displacement."""
    if any(x.free & {2, 3} for x in bottoms):
        raise needs_fixed(layer, "its patches follow from the sizes: height and width are fixed")
    a, b = bottoms
    tall, wide = ((n - 1) * layer.stride + layer.kernel for n in layer.size)
    left = layer.far - layer.pad
    top = left if layer.tall else 0
    high, first = min(layer.down), left + min(layer.across)
    reach = wide + max(layer.across) - min(layer.across)
    one = _window(g, a, top, left, tall, wide)
    two = _window(g, b, top + high, first, tall + max(layer.down) - high, reach)
    one = g.node("Unsqueeze", one, g.ints([4]))  # (N, C, tall, wide, 1)
    columns = np.arange(wide)[:, None] + np.array(layer.across) - min(layer.across)
    columns_name = g.constant(columns, "columns")
    found = []
    for dy in layer.down:
        rows = two
        if len(layer.down) > 1:
            rows = cut(g, two, [2], [dy - high], [dy - high + tall])
        moved = g.node("Gather", rows, columns_name, axis=3)  # (N, C, tall, wide, across)
        if layer.subtracts:
            fit = g.node("Abs", g.node("Sub", one, moved))
        else:
            fit = g.node("Mul", one, moved)
        fit = g.node("ReduceMean", fit, axes=[1], keepdims=0)
        found.append(g.node("Transpose", fit, perm=[0, 3, 1, 2]))
    y = found[0] if len(found) == 1 else g.node("Concat", *found, axis=1)
    if layer.kernel > 1 or layer.stride > 1:
        shape = {"kernel_shape": [layer.kernel] * 2, "strides": [layer.stride] * 2}
        y = g.node("AveragePool", y, **shape)
    return [y]


def _window(g: Graph, x: Value, top: int, left: int, tall: int, wide: int) -> str:
    """A window of a map, zeros where it lies outside."""
    above, before = max(0, -top), max(0, -left)
    below, behind = max(0, top + tall - x.shape[2]), max(0, left + wide - x.shape[3])
    name = x.name
    if above or before or below or behind:
        name = g.node("Pad", name, g.ints([0, 0, above, before, 0, 0, below, behind]))
    starts = [top + above, left + before]
    return cut(g, name, [2, 3], starts, [starts[0] + tall, starts[1] + wide])


@writes("FlowWarp")
def flow_warp(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Four Gathers of the picture, weighted; what lies outside is filled."""
    x, flow = bottoms
    inside, low, share = [], [], []
    for axis, channel in ((3, 0), (2, 1)):  # columns, rows
        size = g.as_float(g.tensor(g.size(x, axis)))
        place = g.node("Add", cut(g, flow.name, [1], [channel], [channel + 1]), _steps(g, x, axis))
        fits = g.node("And", g.node("GreaterOrEqual", place, g.number(0)),
                      g.node("Less", place, size))  # fmt: skip
        inside.append(fits)
        low.append(place)
        share.append(size)
    within = g.node("And", *inside)
    corners, shares = [], []
    for place, size in zip(low, share):
        place = g.node("Where", within, place, g.number(0))
        first = g.node("Floor", place)
        last = g.node("Min", g.node("Add", first, g.number(1)), g.node("Sub", size, g.number(1)))
        corners.append([g.as_int(first), g.as_int(last)])
        shares.append(g.node("Sub", place, first))
    flat = g.node("Reshape", x.name, g.ints([0, 0, -1]))
    wide, whole = g.tensor(g.size(x, 3)), g.shape(g.sizes(x))
    every = g.node("Shape", flat)

    def at(row: str, column: str) -> str:
        pixel = g.node("Add", g.node("Mul", row, wide), column)
        pixel = g.node("Expand", g.node("Reshape", pixel, g.ints([0, 0, -1])), every)
        return g.node("Reshape", g.node("GatherElements", flat, pixel, axis=2), whole)

    def between(a: str, b: str, part: str) -> str:
        rest = g.node("Sub", g.number(1), part)
        return g.node("Add", g.node("Mul", a, rest), g.node("Mul", b, part))

    (left, right), (top, bottom) = corners
    upper = between(at(top, left), at(top, right), shares[0])
    lower = between(at(bottom, left), at(bottom, right), shares[0])
    y = between(upper, lower, shares[1])
    return [g.node("Where", within, y, g.number(layer.fill))]


def _steps(g: Graph, x: Value, axis: int) -> str:
    """0, 1, … along an axis, as 1 x 1 x 1 x W or 1 x 1 x H x 1."""
    spread = [0, 1, 2] if axis == 3 else [0, 1, 3]
    size = g.size(x, axis)
    if isinstance(size, int):
        steps = np.arange(size, dtype=np.float32)
        return g.constant(steps.reshape([-1 if a == axis else 1 for a in range(4)]), "steps")
    zero, one, end = (g.node("Squeeze", n, g.ints([0])) for n in
                      (g.ints([0]), g.ints([1]), g.tensor(size)))  # fmt: skip
    return g.node("Unsqueeze", g.as_float(g.node("Range", zero, end, one)), g.ints(spread))


@writes("SpatialTransformer")
def spatial_transformer(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """The affine map of the top's places, then four Gathers of the picture, weighted."""
    x, theta = bottoms
    if x.free & {2, 3}:
        raise needs_fixed(layer, "its places are shares of a fixed height and width")
    height, width = x.shape[2:]
    row, column = (values.numpy() for values in layer.coordinates())
    places = np.stack(
        [np.repeat(row, len(column)), np.tile(column, len(row)), np.ones(len(row) * len(column))]
    )
    flat = g.node("Reshape", theta.name, g.ints([0, len(layer.open), 1]))
    columns = [
        g.node("Expand", g.number(layer.fixed[i]), g.shape([g.size(theta, 0), 1, 1]))
        if i in layer.fixed
        else cut(g, flat, [1], [layer.open.index(i)], [layer.open.index(i) + 1])
        for i in range(6)
    ]
    full = g.node("Reshape", g.node("Concat", *columns, axis=1), g.ints([0, 2, 3]))
    seen = g.node("MatMul", full, g.constant(places.astype(np.float32), "places"))  # (N, 2, H' W')
    half = np.array([height / 2, width / 2], np.float32).reshape(1, 2, 1)
    seen = g.node("Mul", g.node("Add", seen, g.number(1)), g.constant(half, "half"))
    first = g.node("Floor", seen)
    share = g.node("Sub", seen, first)
    pixels = g.node("Reshape", x.name, g.ints([0, 0, -1]))
    channels = g.ints([1, x.shape[1], 1])
    terms = []
    for down in (0, 1):
        for right in (0, 1):
            offset = g.constant(np.array([down, right], np.float32).reshape(1, 2, 1), "corner")
            corner = g.node("Add", first, offset)
            limits = np.array([height - 1, width - 1], np.float32).reshape(1, 2, 1)
            inside = g.node("And", g.node("GreaterOrEqual", corner, g.number(0)),
                            g.node("LessOrEqual", corner, g.constant(limits, "last")))  # fmt: skip
            part = g.node("Abs", g.node("Sub", share, offset))
            part = g.node("Mul", g.node("Sub", g.number(1), part), g.as_float(inside))
            weight = g.node("Mul", *(cut(g, part, [1], [a], [a + 1]) for a in (0, 1)))
            kept = g.node("Where", inside, corner, g.number(0))
            index = g.node("Add", g.node("Mul", cut(g, kept, [1], [0], [1]), g.number(width)),
                           cut(g, kept, [1], [1], [2]))  # fmt: skip
            index = g.node("Tile", g.as_int(index), channels)
            terms.append(g.node("Mul", g.node("GatherElements", pixels, index, axis=2), weight))
    total = g.node("Sum", *terms)
    return [g.node("Reshape", total, g.ints([0, 0, *layer.out]))]


@writes("Resample")
def resample(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """A product of matrices along the rows and one along the columns."""
    rows, columns = _matrices(g, layer, bottoms)
    return [_product(g, rows, bottoms[0].name, columns)]


@writes("Downsample")
def downsample(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Products of what is known, of how much is, and of how much is not."""
    x = bottoms[0]
    if layer.copies:
        return [g.node("Identity", x.name)]
    rows, columns = _matrices(g, layer, bottoms)
    unknown = g.node("IsNaN", x.name)
    values = g.node("Where", unknown, g.number(0), x.name)
    missing = g.as_float(unknown)
    total, known, gone = (
        _product(g, rows, part, columns)
        for part in (values, g.node("Sub", g.number(1), missing), missing)
    )
    too_many = g.node("Greater", gone, g.node("Mul", known, g.number(0.5)))
    return [g.node("Where", too_many, g.number(np.nan), g.node("Div", total, known))]


def _matrices(g: Graph, layer: Any, bottoms: Values) -> tuple[str, str]:
    if any(x.free & {2, 3} for x in bottoms):
        raise needs_fixed(layer, "its weights follow from the sizes: height and width are fixed")
    rows, columns = layer.weights(bottoms[0].shape[2:], _CPU)
    return g.constant(rows.numpy(), "rows"), g.constant(columns.T.numpy(), "columns")


def _product(g: Graph, rows: str, x: str, columns: str) -> str:
    return g.node("MatMul", g.node("MatMul", rows, x), columns)


@writes("Accum")
def accum(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Resize with aligned corners, side by side."""
    maps = bottoms[:-1] if layer.has_reference else bottoms
    if layer.has_reference:
        size = [g.size(bottoms[-1], axis) for axis in (2, 3)]
    elif any(x.free & {2, 3} for x in bottoms):
        raise needs_fixed(layer, "its size is that of the largest: height and width are fixed")
    else:
        size = list(layer.size)
    mode = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    parts = []
    for x in maps:
        sizes = g.shape([g.size(x, 0), x.shape[1], *size])
        parts.append(g.node("Resize", x.name, "", "", sizes, **mode))
    return parts if len(parts) == 1 else [g.node("Concat", *parts, axis=1)]


@writes("DataAugmentation")
def data_augmentation(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """The mean taken off."""
    x, p = bottoms[0], layer.param.augmentation_param
    if len(layer.blobs) == 1:
        if not p.mean or p.mean_per_pixel:
            return [g.node("Identity", x.name)]
        mean = np.array(p.mean, np.float32).reshape(1, 3, 1, 1)
    elif p.mean_per_pixel:
        mean = layer.blobs[1].data_numbers()
        if mean.shape[1:] != tuple(x.shape[1:]):
            mean = mean.mean((2, 3), keepdims=True)
        elif x.free & {2, 3}:
            raise needs_fixed(layer, "its mean has a value for each pixel")
    else:
        mean = layer.blobs[2].data_numbers()
    return [g.node("Sub", x.name, g.constant(mean, "mean"))]
