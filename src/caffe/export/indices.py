"""Layers that find or follow indices: ArgMax, Embed, BatchReindex, Filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe.export.graph import Graph, Size, Value
from caffe.export.table import writes

Values = Sequence[Value]


@writes("ArgMax")
def argmax(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """The largest values or their indices; of equal ones the larger index comes first."""
    p, x = layer.param.argmax_param, bottoms[0]
    if layer.one_axis is not None:
        values, index = _largest(g, x.name, layer.one_axis, p.top_k, g.size(x, layer.one_axis))
        return [values() if p.out_max_val else index()]
    count = g.tensor(_count(g, x))
    flat = g.node("Flatten", x.name, axis=1)
    values, index = _largest(g, flat, 1, p.top_k, count)
    found = index()
    ones = [1] * (len(x.shape) - 3)
    if p.out_max_val:
        rows = [g.node("Unsqueeze", y, g.ints([1])) for y in (found, values())]
        found = g.node("Concat", *rows, axis=1)
        return [found if not ones else g.node("Reshape", found, g.ints([0, 2, p.top_k, *ones]))]
    return [g.node("Reshape", found, g.ints([0, 1, p.top_k, *ones]))]


def _count(g: Graph, x: Value) -> Size:
    total: Size = 1
    for n in g.sizes(x)[1:]:
        total = g.times(total, n)
    return total


def _largest(g: Graph, name: str, axis: int, k: int, size: Size) -> tuple[Any, Any]:
    """Functions that write the values, and the indices as floats."""
    if k == 1:

        def values() -> str:
            return g.node("ReduceMax", name, axes=[axis], keepdims=1)

        def index() -> str:
            return g.as_float(g.node("ArgMax", name, axis=axis, keepdims=1, select_last_index=1))

        return values, index
    # TopK takes the smaller index first: so from behind.
    starts, ends, steps = g.ints([-1]), g.ints([-(2**31)]), g.ints([-1])
    turned = g.node("Slice", name, starts, ends, g.ints([axis]), steps)
    best, places = g.nodes_of("TopK", 2, turned, g.ints([k]), axis=axis, largest=1, sorted=1)

    def last_index() -> str:
        return g.as_float(g.node("Sub", g.tensor(g.minus(size, 1)), places))

    return (lambda: best), last_index


@writes("Embed")
def embed(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Rows of the table; indices are rounded toward zero."""
    rows = g.as_int(bottoms[0].name)
    y = g.node("Gather", g.weight(layer.blobs[0], "weight"), rows, axis=0)
    if len(layer.blobs) > 1:
        y = g.node("Add", y, g.weight(layer.blobs[1], "bias"))
    return [y]


@writes("BatchReindex")
def batch_reindex(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.node("Gather", bottoms[0].name, g.as_int(bottoms[1].name), axis=0)]


@writes("Filter")
def filter_items(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """The items whose selector is not 0."""
    selector = g.node("Reshape", bottoms[-1].name, g.ints([-1]))
    places = g.node("Squeeze", g.node("NonZero", selector), g.ints([0]))
    return [g.node("Gather", x.name, places, axis=0) for x in bottoms[:-1]]
