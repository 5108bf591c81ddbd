"""Pooling and SPP, with Caffe's rounding up and its rule for the last window.

``out = ceil((size + 2 pad - kernel) / stride) + 1``; with a pad, a last window that would begin
beyond the image and its pad is dropped.  ONNX has ``ceil_mode``, whose readers disagree about both
that rule and what AVE divides by.  So it is used only where nothing depends on them (MAX without
pad, windows that touch); elsewhere the image gets the pad that makes all windows whole, computed in
the graph where the size is free, and is pooled with rounding down.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.export.graph import Free, Graph, Size, Value
from caffe.export.table import needs_fixed, writes

Values = Sequence[Value]

LOWEST = float(np.finfo(np.float32).min)


@writes("Pooling")
def pooling(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    x = bottoms[0]
    p = layer.param.pooling_param
    if p.global_pooling and not layer.stochastic and layer.num_tops == 1:
        return [g.node("GlobalMaxPool" if layer.max else "GlobalAveragePool", x.name)]
    if p.global_pooling and x.free & {2, 3}:
        raise needs_fixed(
            layer, "global pooling with a mask, or STOCHASTIC, needs fixed image sizes"
        )
    if layer.stochastic:
        return [_expected(g, layer, x)]
    if layer.max:
        return _maximum(g, layer, x)
    return [_average(g, layer, x)]


@writes("SPP")
def pyramid(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """A Pooling for each level, their results behind each other."""
    x = bottoms[0]
    if x.free & {2, 3}:
        raise needs_fixed(
            layer, "its windows follow from the image's size: height and width are fixed"
        )
    levels = [pooling(g, level, bottoms)[0] for level in layer.levels]
    if len(levels) == 1:
        return levels
    return [g.node("Concat", *(g.node("Flatten", y, axis=1) for y in levels), axis=1)]


# Windows ------------------------------------------------------------------------------------------


def _settings(layer: Any) -> dict[str, list[int]]:
    return {"kernel_shape": list(layer.kernel), "strides": list(layer.given_stride)}


def _rounds_up(layer: Any) -> bool:
    p = layer.param.pooling_param
    return p.round_mode != p.FLOOR


def _never_rounds(layer: Any) -> bool:
    """Where rounding up and down are the same at any size."""
    return list(layer.given_stride) == [1, 1] or not _rounds_up(layer)


def _windows_fit(layer: Any, x: Value) -> bool:
    """Where, at these sizes, no window reaches beyond the image and its pad."""
    sides = zip(layer.out, layer.given_stride, layer.kernel, x.shape[2:], layer.pad)
    return all((out - 1) * s + k <= n + 2 * p for out, s, k, n, p in sides)


def _beyond(g: Graph, layer: Any, x: Value) -> list[Size]:
    """How far the windows reach beyond the image and its pad, along each axis; 0 or more."""
    result: list[Size] = []
    for i in range(2):
        k, s, p = layer.kernel[i], layer.given_stride[i], layer.pad[i]
        size = g.size(x, 2 + i)
        if isinstance(size, int):
            result.append(max(0, (layer.out[i] - 1) * s + k - size - 2 * p))
            continue
        # room = size + 2 p - k; the last window begins at `room` rounded up to a stride.
        room = g.plus(size, 2 * p - k)
        start = g.times(g.divide(g.plus(room, s - 1 if _rounds_up(layer) else 0), s), s)
        if any(layer.pad):
            # It is dropped where it begins behind the image.
            begins_inside = g.node("Less", g.tensor(start), g.tensor(g.plus(size, p)))
            start = g.node("Where", begins_inside, g.tensor(start), g.tensor(g.minus(start, s)))
        result.append(g.larger(g.minus(start, room), 0))
    return result


def _padded(g: Graph, layer: Any, x: Value, value: float) -> str:
    """The image with its pad, as far as the windows reach."""
    pad, beyond = layer.pad, _beyond(g, layer, x)
    if not any(pad) and beyond == [0, 0]:
        return x.name
    behind = [g.plus(p, b) for p, b in zip(pad, beyond)]
    pads = g.shape([0, 0, *pad, 0, 0, *behind])
    return g.node("Pad", x.name, pads, g.number(value), mode="constant")


# MAX ----------------------------------------------------------------------------------------------


def _maximum(g: Graph, layer: Any, x: Value) -> list[str]:
    settings, pad = _settings(layer), list(layer.pad)
    free = bool(x.free & {2, 3})
    touching = all(k >= s for k, s in zip(layer.kernel, layer.given_stride))
    beyond = [0, 0] if free else _beyond(g, layer, x)
    small = all(isinstance(b, int) and p + b < k for p, b, k in zip(pad, beyond, layer.kernel))
    if _never_rounds(layer) or (small and not free):
        ends = [p + b for p, b in zip(pad, beyond) if isinstance(b, int)]
        return _max_pool(g, layer, x, x.name, pads=[*pad, *ends], **settings)
    if not any(pad) and touching:
        return _max_pool(g, layer, x, x.name, ceil_mode=1, **settings)
    framed = _padded(g, layer, x, LOWEST)
    return _max_pool(g, layer, x, framed, frame=(layer, x), **settings)


def _max_pool(
    g: Graph, layer: Any, x: Value, source: str, frame: Any = None, **attributes: Any
) -> list[str]:
    """The maxima, and with a second top their places ``h W + w``."""
    if layer.num_tops == 1:
        return [g.node("MaxPool", source, **attributes)]
    y, index = g.nodes_of("MaxPool", 2, source, **attributes)
    # ONNX counts through the whole tensor: what remains of a division is the place in the plane.
    width = g.size(x, 3)
    if frame is None:
        plane = g.times(g.size(x, 2), width)
        return [y, g.as_float(g.node("Mod", index, g.tensor(plane)))]
    beyond = _beyond(g, layer, x)
    tall, wide = (g.plus(g.plus(g.size(x, 2 + i), 2 * layer.pad[i]), beyond[i]) for i in range(2))
    place = g.node("Mod", index, g.tensor(g.times(tall, wide)))
    row = g.node("Sub", g.node("Div", place, g.tensor(wide)), g.ints([layer.pad[0]]))
    column = g.node("Sub", g.node("Mod", place, g.tensor(wide)), g.ints([layer.pad[1]]))
    return [y, g.as_float(g.node("Add", g.node("Mul", row, g.tensor(width)), column))]


# AVE ----------------------------------------------------------------------------------------------


def _average(g: Graph, layer: Any, x: Value) -> str:
    """Sums divided by the windows' areas, cut off at the end of the pad, not of the image."""
    settings, pad = _settings(layer), list(layer.pad)
    free = bool(x.free & {2, 3})
    if _never_rounds(layer) or (not free and _windows_fit(layer, x)):
        return g.node("AveragePool", x.name, pads=[*pad, *pad], count_include_pad=1, **settings)
    y = g.node("AveragePool", _padded(g, layer, x, 0.0), pads=[0, 0, 0, 0], **settings)
    rows, columns = (_share(g, layer, x, i, y) for i in range(2))
    return g.node("Div", y, g.node("Mul", rows, columns))


def _share(g: Graph, layer: Any, x: Value, i: int, pooled: str) -> str:
    """Which part of each window lies on the image and its pad, along one axis, to be broadcast.

    Of a window behind them it is 0 or negative, as Caffe's area is.
    """
    k, s, p = layer.kernel[i], layer.given_stride[i], layer.pad[i]
    size, spread = g.size(x, 2 + i), [0, 1, 3 - i]
    if isinstance(size, int):
        start = np.arange(layer.out[i]) * s - p
        share = (np.minimum(start + k, size + p) - start) / k
        return g.constant(np.expand_dims(share.astype(np.float32), spread), "share")
    zero, count, one = (
        g.node("Squeeze", g.tensor(n), g.ints([0])) for n in (0, Free(pooled, 2 + i), 1)
    )
    steps = g.node("Range", zero, count, one)
    begin = g.node("Sub", g.node("Mul", steps, g.ints([s])), g.ints([p]))
    end = g.node("Add", begin, g.ints([k]))
    end = g.node("Min", end, g.tensor(g.plus(size, p)))
    length = g.as_float(g.node("Sub", end, begin))
    return g.node("Unsqueeze", g.node("Div", length, g.number(k)), g.ints(spread))


# STOCHASTIC ---------------------------------------------------------------------------------------


def _expected(g: Graph, layer: Any, x: Value) -> str:
    """``sum x^2 / sum x``, 0 where the sum is not positive."""
    framed = _padded(g, layer, x, 0.0)
    total = g.node("AveragePool", framed, pads=[0, 0, 0, 0], **_settings(layer))
    square = g.node("Mul", framed, framed)
    squares = g.node("AveragePool", square, pads=[0, 0, 0, 0], **_settings(layer))
    divisor = g.node("Where", g.node("Greater", total, g.number(0)), total, g.number(float("inf")))
    return g.node("Div", squares, divisor)
