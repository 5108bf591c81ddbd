"""R-CNN's layers: Proposal, ROIPooling, PSROIPooling, ROIAlign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.export.graph import Graph, Size, Value
from caffe.export.shape import cut
from caffe.export.table import writes
from caffe.layer.extensions import _boxes

Values = Sequence[Value]

LOWEST = float(np.finfo(np.float32).min)


@writes("ROIPooling")
def roi_pooling(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """MaxRoiPool, which is Fast R-CNN's layer."""
    settings = {"pooled_shape": list(layer.pooled), "spatial_scale": float(layer.scale)}
    return [g.node("MaxRoiPool", bottoms[0].name, _regions(g, bottoms[1]), **settings)]


@writes("ROIAlign")
def roi_align(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """RoiAlign, which is Detectron's rule in this operator set."""
    rois = _regions(g, bottoms[1])
    item = g.as_int(g.node("Reshape", cut(g, rois, [1], [0], [1]), g.ints([-1])))
    corners = cut(g, rois, [1], [1], [5])
    settings = {
        "mode": "avg",
        "output_height": layer.pooled[0],
        "output_width": layer.pooled[1],
        "sampling_ratio": layer.ratio,
        "spatial_scale": float(layer.scale),
    }
    return [g.node("RoiAlign", bottoms[0].name, corners, item, **settings)]


def _regions(g: Graph, value: Value) -> str:
    """Regions as R x 5."""
    return value.name if len(value.shape) == 2 else g.node("Reshape", value.name, g.ints([-1, 5]))


@writes("PSROIPooling")
def psroi_pooling(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Means over windows from sums up to each pixel: each is four of them."""
    x, group, outputs = bottoms[0], layer.group, layer.outputs
    rois = _regions(g, bottoms[1])
    sums = g.node("CumSum", g.node("Cast", x.name, to=DOUBLE), g.ints([2]))
    sums = g.node("CumSum", sums, g.ints([3]))
    zero = g.node("Cast", g.number(0), to=DOUBLE)
    sums = g.node("Pad", sums, g.ints([0, 0, 1, 1, 0, 0, 0, 0]), zero, mode="constant")
    flat = g.node("Reshape", sums, g.ints([-1]))
    sides = [_sides(g, layer, rois, axis, g.size(x, 3 - axis)) for axis in (1, 0)]
    rows = [g.node("Unsqueeze", side, g.ints([1, 3])) for side in sides[0]]
    columns = [g.node("Unsqueeze", side, g.ints([1, 2])) for side in sides[1]]
    items = g.node("Unsqueeze", g.as_int(cut(g, rois, [1], [0], [1])), g.ints([2, 3]))
    channels = np.arange(x.shape[1]).reshape(1, outputs, group, group)
    planes = g.node("Mul", items, g.ints([x.shape[1]]))
    planes = g.node("Add", planes, g.constant(channels, "channels"))
    tall, wide = (g.tensor(g.plus(g.size(x, axis), 1)) for axis in (2, 3))
    corners = []
    for i in (0, 1):
        row = g.node("Add", g.node("Mul", planes, tall), rows[i])
        for j in (0, 1):
            place = g.node("Add", g.node("Mul", row, wide), columns[j])
            corners.append(g.node("Gather", flat, place))
    total = g.node("Sub", g.node("Add", corners[0], corners[3]), corners[1])
    total = g.node("Sub", total, corners[2])
    heights, widths = (g.node("Sub", b, a) for a, b in (rows, columns))
    area = g.node("Max", g.node("Mul", heights, widths), g.ints([1]))
    return [g.as_float(g.node("Div", total, g.node("Cast", area, to=DOUBLE)))]


DOUBLE = 11


def _sides(g: Graph, layer: Any, rois: str, axis: int, size: Size) -> list[str]:
    """Where the windows begin and end along an axis (0 columns, 1 rows): R x group, int64."""
    first, last = (_rounded(g, cut(g, rois, [1], [1 + axis + n], [2 + axis + n])) for n in (0, 2))
    scale = g.number(layer.scale)
    begin = g.node("Mul", first, scale)
    end = g.node("Mul", g.node("Add", last, g.number(1)), scale)
    extent = g.node("Max", g.node("Sub", end, begin), g.number(0.1))
    step = g.node("Div", extent, g.number(layer.group))
    parts = np.arange(layer.group + 1, dtype=np.float32)[None]
    edge = g.node("Add", g.node("Mul", step, g.constant(parts, "parts")), begin)
    low = g.node("Floor", cut(g, edge, [1], [0], [layer.group]))
    high = g.node("Ceil", cut(g, edge, [1], [1], [layer.group + 1]))
    most = g.as_float(g.tensor(size))
    inside = [g.node("Min", g.node("Max", y, g.number(0)), most) for y in (low, high)]
    start, stop = (g.as_int(y) for y in inside)
    return [start, g.node("Max", start, stop)]


def _rounded(g: Graph, x: str) -> str:
    """Halves away from zero, as C's round."""
    up = g.node("Floor", g.node("Add", g.node("Abs", x), g.number(0.5)))
    return g.node("Mul", g.node("Sign", x), up)


@writes("Proposal")
def proposal(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Anchors moved by the deltas, clipped, the best of them thinned out by NonMaxSuppression."""
    return _proposals(g, layer, bottoms, layer.num_tops, small_stay=True)


def python_proposal(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """py-faster-rcnn's Python layer, which the engine knows: small boxes drop out."""
    rois, *scores = _proposals(g, layer.user, bottoms, layer.num_tops, small_stay=False)
    return [rois, *(g.node("Unsqueeze", y, g.ints([1])) for y in scores)]


def _proposals(g: Graph, settings: Any, bottoms: Values, tops: int, small_stay: bool) -> list[str]:
    scores, deltas, sizes = bottoms
    selection, count = settings.selection, len(settings.anchors)
    score = cut(g, scores.name, [1], [count], [2 * count])
    score = g.node("Transpose", score, perm=[0, 2, 3, 1])
    score = g.node("Reshape", score, g.ints([0, -1]))
    moved = g.node("Transpose", deltas.name, perm=[0, 2, 3, 1])
    moved = g.node("Reshape", moved, g.ints([0, -1, 4]))
    boxes = _moved(g, _placed(g, settings, scores), moved)
    info = sizes.name if len(sizes.shape) == 2 else g.node("Flatten", sizes.name, axis=1)
    tall, wide = (cut(g, info, [1], [a], [a + 1]) for a in (0, 1))
    most = g.node("Sub", g.node("Concat", wide, tall, wide, tall, axis=1), g.number(1))
    boxes = g.node("Min", boxes, g.node("Unsqueeze", most, g.ints([1])))
    boxes = g.node("Max", boxes, g.number(0))
    score = _without_small(g, selection, boxes, score, info, sizes, small_stay)
    total = _total(g, scores, count)
    k: Size = total
    if selection.before:
        k = min(selection.before, total) if isinstance(total, int) else _least(g, selection, total)
    best, order = g.nodes_of("TopK", 2, score, g.tensor(k), axis=1, largest=1, sorted=1)
    order = g.node("Expand", g.node("Unsqueeze", order, g.ints([2])), g.ints([1, 1, 4]))
    boxes = g.node("GatherElements", boxes, order, axis=1)
    # Both ends of a box count: their overlaps are those of boxes that reach a pixel farther.
    reaching = g.node("Add", boxes, g.constant(np.array([0, 0, 1, 1], np.float32), "pixel"))
    after = g.tensor(selection.after or k)
    limits = [g.number(selection.overlap)] + ([] if small_stay else [g.number(LOWEST / 2)])
    ranked = g.node("Unsqueeze", best, g.ints([1]))
    chosen = g.node("NonMaxSuppression", reaching, ranked, after, *limits)
    pairs = g.node("Gather", chosen, g.ints([0, 2]), axis=1)
    item = g.as_float(cut(g, pairs, [1], [0], [1]))
    rois = g.node("Concat", item, g.node("GatherND", boxes, pairs), axis=1)
    return [rois, g.node("GatherND", best, pairs)][:tops]


def _total(g: Graph, scores: Value, count: int) -> Size:
    return g.times(g.times(g.size(scores, 2), g.size(scores, 3)), count)


def _least(g: Graph, selection: Any, total: Size) -> str:
    return g.node("Min", g.tensor(total), g.ints([selection.before]))


def _placed(g: Graph, settings: Any, scores: Value) -> str:
    """The anchors at all pixels, (H W A) x 4."""
    if not scores.free & {2, 3}:
        fixed = _boxes.place(settings.anchors, scores.shape[2:], settings.stride)
        return g.constant(fixed, "anchors")
    zero, one = (g.node("Squeeze", g.ints([n]), g.ints([0])) for n in (0, 1))
    places = []
    for axis, spread in ((3, [0, 2]), (2, [1, 2])):  # x as 1 x W x 1, y as H x 1 x 1
        size = g.node("Squeeze", g.tensor(g.size(scores, axis)), g.ints([0]))
        steps = g.as_float(g.node("Range", zero, size, one))
        steps = g.node("Mul", steps, g.number(settings.stride))
        places.append(g.node("Unsqueeze", steps, g.ints(spread)))
    shape = g.shape([g.size(scores, 2), g.size(scores, 3), 1])
    x, y = (g.node("Expand", place, shape) for place in places)
    shift = g.node("Unsqueeze", g.node("Concat", x, y, x, y, axis=2), g.ints([2]))
    placed = g.node("Add", shift, g.constant(settings.anchors, "anchors"))
    return g.node("Reshape", placed, g.ints([-1, 4]))


def _moved(g: Graph, boxes: str, deltas: str) -> str:
    """Boxes moved and stretched by deltas, as R-CNN's nets were trained."""
    low, high = (cut(g, boxes, [1], [a], [a + 2]) for a in (0, 2))
    size = g.node("Add", g.node("Sub", high, low), g.number(1))
    middle = g.node("Add", low, g.node("Mul", size, g.number(0.5)))
    centre = g.node("Add", middle, g.node("Mul", cut(g, deltas, [2], [0], [2]), size))
    half = g.node("Mul", g.node("Exp", cut(g, deltas, [2], [2], [4])), size)
    half = g.node("Mul", half, g.number(0.5))
    corners = [g.node(op, centre, half) for op in ("Sub", "Add")]
    return g.node("Concat", *corners, axis=2)


def _without_small(
    g: Graph, selection: Any, boxes: str, score: str, info: str, sizes: Value, small_stay: bool
) -> str:
    """The scores, of boxes that are too small 0, or too low for any to be chosen."""
    several = int(np.prod(sizes.shape[1:])) > 3
    scales = [cut(g, info, [1], [a], [a + 1]) for a in ((3, 2) if several else (2, 2))]  # x, y
    least = [g.node("Mul", scale, g.number(selection.min_size)) for scale in scales]
    low, high = (cut(g, boxes, [2], [a], [a + 2]) for a in (0, 2))
    size = g.node("Add", g.node("Sub", high, low), g.number(1))
    wide, tall = (
        g.node("GreaterOrEqual", g.node("Squeeze", cut(g, size, [2], [a], [a + 1]), g.ints([2])), n)
        for a, n in enumerate(least)
    )
    large = g.node("And", wide, tall)
    return g.node("Where", large, score, g.number(0 if small_stay else LOWEST))
