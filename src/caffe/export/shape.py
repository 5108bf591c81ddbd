"""Layers that move numbers without changing them: Reshape, Slice, Concat, Crop, Tile …"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.export.graph import END, Graph, Size, Value
from caffe.export.table import writes

Values = Sequence[Value]


@writes("Split")
def split(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """No node: all tops are the bottom."""
    return [bottoms[0].name] * layer.num_tops


@writes("Flatten")
def flatten(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    p, x = layer.param.flatten_param, bottoms[0]
    ndim = len(x.shape)
    first, last = p.axis % ndim, p.end_axis % ndim
    if first == 1 and last == ndim - 1 and ndim > 1:
        return [g.node("Flatten", x.name, axis=1)]
    sizes = g.sizes(x)
    fixed = [n for n in sizes[first : last + 1] if isinstance(n, int)]
    joined = math.prod(fixed) if len(fixed) == last + 1 - first else -1
    return [g.reshape(x, [*sizes[:first], joined, *sizes[last + 1 :]])]


@writes("Reshape")
def reshape(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    p, x = layer.param.reshape_param, bottoms[0]
    ndim = len(x.shape)
    first = p.axis if p.axis >= 0 else ndim + p.axis + 1
    last = ndim if p.num_axes == -1 else first + p.num_axes
    sizes = g.sizes(x)
    dims = [sizes[first + i] if d == 0 else d for i, d in enumerate(p.shape.dim)]
    return [g.reshape(x, [*sizes[:first], *dims, *sizes[last:]])]


@writes("Permute", "Transpose")
def permute(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.node("Transpose", bottoms[0].name, perm=list(layer.order))]


@writes("Concat")
def concat(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    if len(bottoms) == 1:
        return [bottoms[0].name]
    return [g.node("Concat", *(x.name for x in bottoms), axis=layer.join_axis)]


@writes("Slice")
def slices(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Split; along an axis whose size is free, one Slice a part."""
    x, axis = bottoms[0], layer.cut_axis
    if layer.num_tops == 1:
        return [x.name]
    if axis not in x.free:
        return g.nodes_of("Split", layer.num_tops, x.name, g.ints(layer.sizes), axis=axis)
    edges: list[Size] = [0, *layer.points, END]
    if not layer.points:
        part = g.divide(g.size(x, axis), layer.num_tops)
        edges = [g.times(part, i) for i in range(layer.num_tops)] + [END]
    return [cut(g, x.name, [axis], [a], [b]) for a, b in zip(edges, edges[1:])]


def cut(
    g: Graph, name: str, axes: Sequence[int], starts: Sequence[Size], ends: Sequence[Size]
) -> str:
    """A tensor from ``starts`` to ``ends`` along ``axes``."""
    return g.node("Slice", name, g.shape(starts), g.shape(ends), g.ints(axes))


@writes("Crop")
def crop(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """A Slice as large as the reference, whose size may be known only when the graph runs."""
    x, reference = bottoms
    axes = list(range(layer.first, len(x.shape)))
    starts = [layer.window[axis].start for axis in axes]
    ends = [g.plus(g.size(reference, axis), start) for axis, start in zip(axes, starts)]
    return [cut(g, x.name, axes, starts, ends)]


@writes("CropCenter")
def crop_center(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    axes = [axis for axis, n in enumerate(layer.cut) if n]
    if not axes:
        return [bottoms[0].name]
    ends = [-layer.cut[axis] for axis in axes]  # from the end
    name = bottoms[0].name
    return [g.node("Slice", name, g.ints([-n for n in ends]), g.ints(ends), g.ints(axes))]


@writes("Reverse")
def reverse(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    start, end, step = g.ints([-1]), g.ints([-(2**31)]), g.ints([-1])
    return [g.node("Slice", bottoms[0].name, start, end, g.ints([layer.flipped]), step)]


@writes("ShuffleChannel")
def shuffle_channel(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Channels as a matrix of groups, turned."""
    x = bottoms[0]
    sizes, channels = g.sizes(x), x.shape[1]
    groups = g.shape([0, layer.group, channels // layer.group, -1])
    turned = g.node("Transpose", g.node("Reshape", x.name, groups), perm=[0, 2, 1, 3])
    return [g.node("Reshape", turned, g.shape([0, channels, *sizes[2:]]))]


@writes("Reorg")
def reorg(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Darknet's order: axes cut in two, exchanged and joined."""
    x, s = bottoms[0], layer.stride
    channels, (h, w) = x.shape[1], g.sizes(x)[2:]
    if layer.reverse:
        inner = [0, s, s, channels // s**2, h, w]
        turned = g.node(
            "Transpose", g.node("Reshape", x.name, g.shape(inner)), perm=[0, 3, 4, 1, 5, 2]
        )
        outer = [0, channels // s**2, g.times(h, s), g.times(w, s)]
        return [g.node("Reshape", turned, g.shape(outer))]
    squares = g.node("Reshape", x.name, g.shape([0, channels // s**2, h, s, w, s]))
    turned = g.node("Transpose", squares, perm=[0, 3, 5, 1, 2, 4])
    return [
        g.node("Reshape", turned, g.shape([0, channels * s**2, g.divide(h, s), g.divide(w, s)]))
    ]


@writes("BatchReduction")
def batch_reduction(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Sums or means of parts of an axis."""
    x, axis = bottoms[0].name, layer.reduced

    def reduced(name: str, keepdims: int) -> str:
        if layer.mean:
            return g.node("ReduceMean", name, axes=[axis], keepdims=keepdims)
        return g.node("ReduceSum", name, g.ints([axis]), keepdims=keepdims)

    if layer.parts == [1]:
        return [reduced(x, 0)]
    if len(layer.parts) == 1:
        return [reduced(x, 1)]
    parts = g.nodes_of("Split", len(layer.parts), x, g.ints(layer.parts), axis=axis)
    return [g.node("Concat", *(reduced(part, 1) for part in parts), axis=axis)]


@writes("Tile")
def tile(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    times = [1] * len(bottoms[0].shape)
    times[layer.tile_axis] = layer.tiles
    return [g.node("Tile", bottoms[0].name, g.ints(times))]


@writes("ContinuationIndicator")
def continuation_indicator(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """A constant: 0 in the first row, 1 in all others."""
    cont = np.ones(layer.shape, np.float32)
    cont[0] = 0
    return [g.node("Identity", g.constant(cont, "cont"))]


@writes("Parameter")
def parameter(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """A constant that other layers read as a blob."""
    return [g.node("Identity", g.weight(layer.blobs[0], "value"))]


@writes("Reduction")
def reduction(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """A reduction over all axes from the first on; it leaves none of them."""
    p, x = layer.param.reduction_param, bottoms[0]
    axes = list(range(layer.first, len(x.shape)))
    if p.operation == p.SUM:
        y = g.node("ReduceSum", x.name, g.ints(axes), keepdims=0)
    else:
        op = {p.ASUM: "ReduceL1", p.SUMSQ: "ReduceSumSquare", p.MEAN: "ReduceMean"}[p.operation]
        y = g.node(op, x.name, axes=axes, keepdims=0)
    return [g.node("Mul", y, g.number(p.coeff)) if p.coeff != 1 else y]
