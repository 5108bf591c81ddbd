"""Interp and Upsample: other image sizes, and unpooling by masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from caffe.export.graph import Graph, Size, Value
from caffe.export.shape import cut
from caffe.export.table import needs_fixed, writes

Values = Sequence[Value]


@writes("Interp")
def interp(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Resize with aligned corners, of what the negative pads leave."""
    x = bottoms[0]
    name, left = x.name, [g.size(x, 2), g.size(x, 3)]
    if layer.first or layer.cut:
        ends = [g.minus(n, layer.cut) for n in left]
        name = cut(g, name, [2, 3], [layer.first] * 2, ends)
        left = [g.minus(n, layer.first) for n in ends]
    size: list[Size] = list(layer.size)
    if layer.shrink is not None or layer.zoom is not None:
        size = left
        if layer.shrink is not None:
            size = [g.plus(g.divide(g.minus(n, 1), layer.shrink), 1) for n in size]
        if layer.zoom is not None:
            size = [g.plus(n, g.times(g.minus(n, 1), layer.zoom - 1)) for n in size]
    sizes = g.shape([g.size(x, 0), x.shape[1], *size])
    mode = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    return [g.node("Resize", name, "", "", sizes, **mode)]


@writes("Upsample")
def upsample(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    x = bottoms[0]
    if len(bottoms) == 1:
        return [nearest(g, x, layer.scale)]
    size: list[Size] = list(layer.size or ())
    if not size:
        scaled = zip((2, 3), layer.scale, layer.less)
        size = [g.minus(g.times(g.size(x, axis), s), less) for axis, s, less in scaled]
    return [unpool(g, x, bottoms[1], size)]


@writes("Resize")
def resize(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """A product of matrices along the rows and one along the columns: what lies behind the last
    pixel is 0, which Resize has no mode for."""
    from caffe.layer.extensions.resize import _weights

    x = bottoms[0]
    if x.free & {2, 3}:
        raise needs_fixed(layer, "its weights follow from the sizes: height and width are fixed")
    cpu = torch.device("cpu")
    rows, columns = (_weights(old, new, cpu).numpy() for old, new in zip(x.shape[2:], layer.size))
    tall = g.node("MatMul", g.constant(rows, "rows"), x.name)
    return [g.node("MatMul", tall, g.constant(columns.T, "columns"))]


@writes("Unpooling")
def unpooling(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """By a mask; or each value at the first pixel of its window (a product with zeros and ones), or
    all over it (ConvTranspose)."""
    x = bottoms[0]
    if layer.method == "MAX" and len(bottoms) == 2:
        return [unpool(g, x, bottoms[1], _unpooled(g, layer, x))]
    if x.free & {2, 3}:
        raise needs_fixed(layer, "without a mask its height and width are fixed")
    if layer.method == "MAX":
        rows, columns = _first_pixels(layer, x)
        tall = g.node("MatMul", g.constant(rows, "rows"), x.name)
        return [g.node("MatMul", tall, g.constant(columns.T, "columns"))]
    name = x.name
    if layer.method == "AVE":
        areas = layer._areas(torch.empty(1, 1, *x.shape[2:])).numpy()
        name = g.node("Div", name, g.constant(areas.astype(np.float32), "areas"))
    ones = g.constant(np.ones((x.shape[1], 1, *layer.kernel), np.float32), "ones")
    settings = {"kernel_shape": list(layer.kernel), "strides": list(layer.stride)}
    y = g.node("ConvTranspose", name, ones, group=x.shape[1], **settings)
    sides = zip(layer.out, x.shape[2:], layer.stride, layer.kernel)
    more = [out - ((n - 1) * s + k) for out, n, s, k in sides]
    if max(more) > 0:
        pads = g.ints([0, 0, 0, 0, 0, 0, *(max(0, n) for n in more)])
        y = g.node("Pad", y, pads, g.number(0), mode="constant")
    return [cut(g, y, [2, 3], [0, 0], list(layer.out)) if min(more) < 0 else y]


def _unpooled(g: Graph, layer: Any, x: Value) -> list[Size]:
    if layer.size:
        return list(layer.size)
    sides = zip((2, 3), layer.kernel, layer.stride)
    result = []
    for axis, k, s in sides:
        n = g.size(x, axis)
        covered = g.plus(g.times(g.minus(n, 1), s), k)
        result.append(g.larger(covered, g.plus(g.times(n, s), 1)))
    return result


def _first_pixels(layer: Any, x: Value) -> list[np.ndarray]:
    """For each axis, 1 where an old pixel (column) becomes a new one (row)."""
    result = []
    for n, out, s in zip(x.shape[2:], layer.out, layer.stride):
        table = np.zeros((out, n), np.float32)
        for old in range(n):  # of values that are moved to one place, the last stays
            place = min(old * s, out - 1)
            table[place] = 0
            table[place, old] = 1
        result.append(table)
    return result


def nearest(g: Graph, x: Value, scale: Sequence[int]) -> str:
    """Every pixel as scale x scale equal ones."""
    scales = g.constant(np.array([1, 1, *scale], np.float32), "scales")
    mode = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
    return g.node("Resize", x.name, "", scales, nearest_mode="floor", **mode)


def unpool(g: Graph, x: Value, mask: Value, size: Sequence[Size]) -> str:
    """Each value at the place ``h W' + w`` that the mask says, all else 0.

    A mask of -1 places nothing: it goes to one place more, which is cut off.
    """
    places = g.times(size[0], size[1])
    outer = [g.size(x, 0), x.shape[1]]
    zeros = g.node("Expand", g.number(0), g.shape([*outer, g.plus(places, 1)]))
    flat = g.reshape(x, [*outer, -1])
    index = g.as_int(g.reshape(mask, [g.size(mask, 0), x.shape[1], -1]))
    nowhere = g.node("Less", index, g.ints([0]))
    index = g.node("Where", nowhere, g.tensor(places), index)
    filled = g.node("ScatterElements", zeros, index, flat, axis=2)
    image = cut(g, filled, [2], [0], [places])
    return g.node("Reshape", image, g.shape([0, 0, *size]))
