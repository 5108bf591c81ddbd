"""SSD's layers: PriorBox as constants, DetectionOutput by NonMaxSuppression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.export.graph import Graph, Size, Value
from caffe.export.shape import cut
from caffe.export.table import needs_fixed, refuse, writes
from caffe.proto import caffe_pb2

Values = Sequence[Value]

LOWEST = float(np.finfo(np.float32).min)

_CODE = caffe_pb2.PriorBoxParameter


@writes("PriorBox")
def prior_box(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """The boxes depend on nothing but the sizes of the bottoms: a constant."""
    if any(value.free & {2, 3} for value in bottoms):
        raise needs_fixed(layer, "its boxes are a constant: height and width are fixed")
    of_map, of_image = (value.shape[2:] for value in bottoms)
    return [g.node("Identity", g.constant(layer._priors(of_map, of_image), "boxes"))]


@writes("DetectionOutput")
def detection_output(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """For each item and class but the background, the best ``top_k`` boxes in the order of their
    scores, and a flag for each that NonMaxSuppression keeps; ``keep_top_k`` clears flags.  The
    flags' places are then the rows, in Caffe's order."""
    p = layer.param.detection_output_param
    offsets, scores, priors = bottoms[:3]
    if len(bottoms) == 4 and p.clip and bottoms[3].free & {2, 3}:
        raise needs_fixed(layer, "it clips boxes to a fixed height and width")
    batch = g.size(offsets, 0)
    count = g.divide(g.size(priors, 2), 4)  # of regions it may depend on numbers
    labels = [c for c in range(layer.classes) if c != p.background_label_id]
    k = _smaller(g, layer.top_k, count) if layer.top_k >= 0 else count
    boxes = _decoded(g, layer, bottoms)
    ranked = g.node("Reshape", scores.name, g.ints([0, -1, layer.classes]))
    if len(bottoms) == 5:
        ranked = _of_objects(g, layer, bottoms[3], ranked)
    ranked = g.node("Transpose", ranked, perm=[0, 2, 1])
    if len(labels) < layer.classes:
        ranked = g.node("Gather", ranked, g.ints(labels), axis=1)
    best, order = g.nodes_of("TopK", 2, ranked, g.tensor(k), axis=2, largest=1, sorted=1)
    boxes = _best_boxes(g, layer, boxes, order, labels, batch, k)  # (N, labels, k, 4)
    kept = _kept(g, layer, boxes, best, k)
    every = g.times(k, len(labels))
    kept = g.node("Reshape", kept, g.shape([batch_or_inferred(batch), every]))
    flat_scores = g.node("Reshape", best, g.ints([0, -1]))
    if p.keep_top_k > -1 and not (isinstance(every, int) and p.keep_top_k >= every):
        kept = _best_of_all(g, kept, flat_scores, _smaller(g, p.keep_top_k, every))
    rows = _rows(g, kept, flat_scores, boxes, labels, k)
    return [_or_nothing(g, rows, batch)]


def _smaller(g: Graph, a: int, b: Size) -> Size:
    """The smaller of two sizes."""
    if isinstance(b, int):
        return min(a, b)
    return g.node("Min", g.ints([a]), g.tensor(b))


def batch_or_inferred(batch: Size) -> Size:
    """A batch size, -1 where it is free."""
    return batch if isinstance(batch, int) else -1


def _decoded(g: Graph, layer: Any, bottoms: Values) -> str:
    """The boxes that the offsets stand for, (N, places, K, 4)."""
    offsets, priors = bottoms[0], bottoms[2]
    boxes = _row(g, priors, 0)
    variances = None
    if not layer.code.in_target and priors.shape[1] == 2:
        variances = _row(g, priors, 1)
    if len(bottoms) == 5:  # RefineDet moves the priors first
        moves = g.node("Reshape", bottoms[4].name, g.ints([0, 1, -1, 4]))
        boxes = _moved(g, layer, boxes, 1, variances, moves)
    numbers = g.node("Reshape", offsets.name, g.ints([0, -1, layer.places, 4]))
    numbers = g.node("Transpose", numbers, perm=[0, 2, 1, 3])
    axis = 3 if len(bottoms) == 5 else 1
    return _clipped(g, layer, _moved(g, layer, boxes, axis, variances, numbers))


def _moved(g: Graph, layer: Any, boxes: str, axis: int, variances: str | None, numbers: str) -> str:
    """The boxes that numbers (N, places, K, 4) stand for, from boxes whose last axis is given."""
    if variances is not None:
        numbers = g.node("Mul", numbers, variances)
    if layer.code.kind == _CODE.CORNER:
        return g.node("Add", boxes, numbers)
    low, high = (cut(g, boxes, [axis], [a], [a + 2]) for a in (0, 2))
    size = g.node("Sub", high, low)
    if layer.code.one:
        size = g.node("Add", size, g.number(layer.code.one))
    if layer.code.kind == _CODE.CORNER_SIZE:
        both = g.node("Concat", size, size, axis=axis)
        return g.node("Add", boxes, g.node("Mul", numbers, both))
    if layer.code.one:
        middle = g.node("Add", low, g.node("Div", size, g.number(2)))
    else:
        middle = g.node("Div", g.node("Add", low, high), g.number(2))
    moved = g.node("Mul", cut(g, numbers, [3], [0], [2]), size)
    centre = g.node("Add", moved, middle)
    grown = g.node("Mul", g.node("Exp", cut(g, numbers, [3], [2], [4])), size)
    half = g.node("Div", grown, g.number(2))
    corners = [g.node(op, centre, half) for op in ("Sub", "Add")]
    return g.node("Concat", *corners, axis=3)


def _of_objects(g: Graph, layer: Any, objectness: Value, scores: str) -> str:
    """The scores (N, K, classes), 0 but for class 0 where RefineDet's first step saw nothing."""
    pairs = g.node("Reshape", objectness.name, g.ints([0, -1, 2]))
    least = layer.param.detection_output_param.objectness_score
    empty = g.node("Less", cut(g, pairs, [2], [1], [2]), g.number(least))
    nothing = g.constant(np.eye(1, layer.classes, dtype=np.float32)[None], "nothing")
    return g.node("Where", empty, nothing, scores)


def _row(g: Graph, priors: Value, row: int) -> str:
    """Boxes or variances, (K, 4)."""
    one = g.node("Gather", priors.name, g.ints([row]), axis=1)
    return g.node("Reshape", one, g.ints([-1, 4]))


def _clipped(g: Graph, layer: Any, boxes: str) -> str:
    if not layer.param.detection_output_param.clip:
        return boxes
    if not layer.code.one:
        return g.node("Clip", boxes, g.number(0), g.number(1))
    limits = g.constant(np.array(layer.limits * 2, np.float32), "limits")
    return g.node("Max", g.node("Min", boxes, limits), g.number(0))


def _best_boxes(
    g: Graph, layer: Any, boxes: str, order: str, labels: list[int], batch: Size, k: Size
) -> str:
    """The boxes in the order of the scores, (N, labels, k, 4)."""
    if layer.places == 1:  # all classes have the same boxes
        order = g.node("Reshape", order, g.ints([0, 1, -1, 1]))
    else:
        if len(labels) < layer.classes:
            boxes = g.node("Gather", boxes, g.ints(labels), axis=1)
        order = g.node("Unsqueeze", order, g.ints([3]))
    order = g.node("Expand", order, g.ints([1, 1, 1, 4]))
    found = g.node("GatherElements", boxes, order, axis=2)
    return g.node("Reshape", found, g.shape([batch_or_inferred(batch), len(labels), k, 4]))


def _kept(g: Graph, layer: Any, boxes: str, best: str, k: Size) -> str:
    """1 for each box that stays and 0 for the others, in one axis."""
    # Each class of each item is an item by itself: they have boxes of their own.
    flat = g.node("Reshape", boxes, g.shape([-1, k, 4]))
    if layer.code.one:  # a box reaches a pixel farther than its last corner
        flat = g.node("Add", flat, g.constant(np.array([0, 0, 1, 1], np.float32), "one"))
    if layer.eta != 1:
        if not isinstance(k, int):
            raise refuse(layer, f"eta {layer.eta:g} with regions whose number is not known")
        return _kept_one_by_one(g, layer, flat, g.node("Reshape", best, g.ints([-1, k])), k)
    if layer.code.kind != _CODE.CENTER_SIZE:
        # A box that is inside out overlaps nothing in Caffe; the operator would turn it round.
        low, high = (cut(g, flat, [2], [a], [a + 2]) for a in (0, 2))
        flat = g.node("Concat", low, g.node("Max", low, high), axis=2)
    scores = g.node("Reshape", best, g.shape([-1, 1, k]))
    above = [g.number(layer.above)] if np.isfinite(layer.above) else []
    limit = g.number(min(1.0, layer.threshold))
    chosen = g.node("NonMaxSuppression", flat, scores, g.tensor(k), limit, *above)
    item = g.node("Gather", chosen, g.ints([0]), axis=1)
    place = g.node("Gather", chosen, g.ints([2]), axis=1)
    index = g.node("Add", g.node("Mul", item, g.tensor(k)), place)
    index = g.node("Reshape", index, g.ints([-1]))
    return _flags(g, g.node("Reshape", best, g.ints([-1])), index, 0)


def _kept_one_by_one(g: Graph, layer: Any, boxes: str, best: str, k: int) -> str:
    """The same where ``eta`` lowers the threshold for each box that stays: a Scan over the boxes,
    best first, (M, k, 4) of M classes and items at once.

    Its state is the largest overlap of every box with one that stays, and the threshold.
    """
    share = g.node("Transpose", _overlaps(g, boxes), perm=[1, 0, 2])  # a step a box: (k, M, k)
    which = g.constant(np.eye(k, dtype=np.float32), "which")
    count = g.node("Gather", g.node("Shape", best), g.ints([0]))
    worst = g.node("Mul", best, g.number(0))
    limit = g.node(
        "Expand", g.number(layer.threshold), g.node("Concat", count, g.ints([1]), axis=0)
    )
    name, body = f"{layer.name}/step", Graph()
    worst_in, limit_in, share_in, which_in = (
        f"{name}.{what}" for what in ("worst", "limit", "share", "which")
    )
    with body.layer(name):
        own = body.node("Mul", worst_in, which_in)
        own = body.node("ReduceSum", own, body.ints([1]), keepdims=1)
        fits = body.node("LessOrEqual", own, limit_in)
        larger = body.node("Where", fits, body.node("Max", worst_in, share_in), worst_in)
        high = body.node("Greater", limit_in, body.number(0.5))
        lower = body.node("Mul", limit_in, body.number(layer.eta))
        limit_out = body.node("Where", body.node("And", fits, high), lower, limit_in)
        kept = body.as_float(fits)
    body.inputs = [(worst_in, (None, k)), (limit_in, (None, 1)), (share_in, (None, k))]
    body.inputs += [(which_in, (k,))]
    body.outputs = [(larger, (None, k)), (limit_out, (None, 1)), (kept, (None, 1))]
    *_, kept = g.nodes_of("Scan", 3, worst, limit, share, which, body=body, num_scan_inputs=2)
    kept = g.node("Transpose", g.node("Squeeze", kept, g.ints([2])), perm=[1, 0])  # (M, k)
    if np.isfinite(layer.above):
        kept = g.node("Mul", kept, g.as_float(g.node("Greater", best, g.number(layer.above))))
    return g.node("Reshape", kept, g.ints([-1]))


def _overlaps(g: Graph, boxes: str) -> str:
    """Intersection over union of each box of (M, k, 4) with each other: (M, k, k)."""
    low, high = (cut(g, boxes, [2], [a], [a + 2]) for a in (0, 2))
    size = g.node("Sub", high, low)
    sides = g.node("Max", size, g.number(0))  # a box that is inside out has no area
    area = g.node("Mul", *(cut(g, sides, [2], [a], [a + 1]) for a in (0, 1)))
    first = [g.node("Unsqueeze", x, g.ints([2])) for x in (low, high)]
    second = [g.node("Unsqueeze", x, g.ints([1])) for x in (low, high)]
    common = g.node("Sub", g.node("Min", first[1], second[1]), g.node("Max", first[0], second[0]))
    common = g.node("Max", common, g.number(0))
    common = g.node("Mul", *(cut(g, common, [3], [a], [a + 1]) for a in (0, 1)))
    common = g.node("Squeeze", common, g.ints([3]))
    union = g.node("Add", area, g.node("Transpose", area, perm=[0, 2, 1]))
    share = g.node("Div", common, g.node("Sub", union, common))
    return g.node("Where", g.node("Greater", common, g.number(0)), share, g.number(0))


def _flags(g: Graph, like: str, index: str, axis: int) -> str:
    """Ones at the places of ``index`` and zeros elsewhere, in the shape of ``like``."""
    zeros = g.node("Expand", g.number(0), g.node("Shape", like))
    ones = g.node("Expand", g.number(1), g.node("Shape", index))
    return g.node("ScatterElements", zeros, index, ones, axis=axis)


def _best_of_all(g: Graph, kept: str, scores: str, most: Size) -> str:
    """Of the flags of each item those of the ``most`` highest scores."""
    there = g.node("Greater", kept, g.number(0))
    values = g.node("Where", there, scores, g.number(LOWEST))
    _, index = g.nodes_of("TopK", 2, values, g.tensor(most), axis=1, largest=1, sorted=1)
    return g.node("Mul", kept, _flags(g, kept, index, 1))


def _rows(g: Graph, kept: str, scores: str, boxes: str, labels: list[int], k: Size) -> str:
    """The flagged boxes, n x 7: item, label, score, corners."""
    places = g.node("NonZero", kept)  # 2 x n: items, and places in the item
    item = g.node("Gather", places, g.ints([0]), axis=0)
    place = g.node("Gather", places, g.ints([1]), axis=0)
    number = g.node("Div", place, g.tensor(k))
    label = g.node("Gather", g.constant(np.array(labels, np.int64), "labels"), number)
    pairs = g.node("Transpose", places, perm=[1, 0])
    score = g.node("GatherND", scores, pairs)
    flat = g.node("Reshape", boxes, g.ints([0, -1, 4]))
    columns = [
        g.node("Transpose", g.as_float(item), perm=[1, 0]),
        g.node("Transpose", g.as_float(label), perm=[1, 0]),
        g.node("Unsqueeze", score, g.ints([1])),
        g.node("GatherND", flat, pairs),
    ]
    return g.node("Concat", *columns, axis=1)


def _or_nothing(g: Graph, rows: str, batch: Size) -> str:
    """The rows as 1 x 1 x n x 7; without any, a row of -1 for each item, with its number."""
    end = g.tensor(batch)
    scalar = [g.node("Squeeze", n, g.ints([0])) for n in (g.ints([0]), end, g.ints([1]))]
    items = g.node("Unsqueeze", g.as_float(g.node("Range", *scalar)), g.ints([1]))
    nothing = g.node("Expand", g.number(-1), g.shape([batch, 6]))
    fallback = g.node("Concat", items, nothing, axis=1)
    count = g.node("Gather", g.node("Shape", rows), g.ints([0]))
    none = g.as_int(g.node("Equal", count, g.ints([0])))
    wanted = g.node("Mul", none, end)
    fallback = g.node("Slice", fallback, g.ints([0]), wanted, g.ints([0]))
    found = g.node("Concat", rows, fallback, axis=0)
    return g.node("Unsqueeze", found, g.ints([0, 1]))
