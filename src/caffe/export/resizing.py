"""Interp and Upsample: other image sizes, and unpooling by masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.export.graph import Graph, Size, Value
from caffe.export.shape import cut
from caffe.export.table import writes

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
