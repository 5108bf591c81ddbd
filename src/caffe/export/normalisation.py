"""BatchNorm, BN, LRN, MVN, Normalize, L2Norm, Softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.export.graph import Graph, Size, Value
from caffe.export.table import writes

Values = Sequence[Value]


@writes("BatchNorm")
def batch_norm(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """The stored sums divided by how many there are; the batch's own mean and variance where
    ``use_global_stats`` is false."""
    x = bottoms[0]
    if not layer.use_global:
        return [_by_batch(g, x, layer.eps)]
    mean, variance, count = (blob.data_numbers() for blob in layer.blobs)
    factor = np.float32(0 if count[0] == 0 else 1 / count[0])
    ones = np.ones(layer.channels, np.float32)
    return [
        g.node(
            "BatchNormalization",
            x.name,
            g.constant(ones, "ones"),
            g.constant(0 * ones, "zeros"),
            g.constant(mean * factor, "mean"),
            g.constant(variance * factor, "variance"),
            epsilon=float(layer.eps),
        )
    ]


@writes("BN", "SyncBN")
def bn(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """BatchNormalization; for ``statistics: BATCH`` the batch's own, for NONE scale and shift."""
    x = bottoms[0]
    if layer.moving:
        slope, bias, mean, variance = (blob.data_numbers().reshape(-1) for blob in layer.blobs)
        parameters = [
            g.weight_of(slope, "slope"),
            g.weight_of(bias, "bias"),
            g.constant(mean, "mean"),
            g.constant(variance, "variance"),
        ]
        eps = float(layer.eps)
        return [g.node("BatchNormalization", x.name, *parameters, epsilon=eps)]
    shape = (layer.channels, *[1] * (len(x.shape) - 2))
    normal = x.name if layer.plain else _by_batch(g, x, layer.eps)
    y = g.node("Mul", normal, g.weight(layer.blobs[0], "slope", shape))
    return [g.node("Add", y, g.weight(layer.blobs[1], "bias", shape))]


def _by_batch(g: Graph, x: Value, eps: float) -> str:
    """``(x - mean) / sqrt(var + eps)`` over all axes but 1."""
    axes = [axis for axis in range(len(x.shape)) if axis != 1]
    normal = g.node("Sub", x.name, g.node("ReduceMean", x.name, axes=axes, keepdims=1))
    square = g.node("Mul", normal, normal)
    variance = g.node("ReduceMean", square, axes=axes, keepdims=1)
    return g.node("Div", normal, g.node("Sqrt", g.node("Add", variance, g.number(eps))))


@writes("LRN")
def lrn(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """LRN across channels; within a channel from the mean of squares around each pixel."""
    x = bottoms[0].name
    if layer.across and not layer.in_place:
        settings = {"alpha": layer.alpha, "beta": layer.beta, "bias": layer.k}
        return [g.node("LRN", x, size=layer.size, **{k: float(v) for k, v in settings.items()})]
    square = g.node("Mul", x, x)
    if layer.across:  # in place Caffe has lost the input: the power by itself, twice
        power = g.node("Pow", _channel_sums(g, layer, square), g.number(-2 * layer.beta))
        return [power]
    n = layer.size
    mean = g.node(
        "AveragePool", square, kernel_shape=[n, n], pads=[n // 2] * 4, count_include_pad=1
    )
    scale = g.node("Add", g.node("Mul", mean, g.number(layer.alpha)), g.number(1))
    return [g.node("Mul", x, g.node("Pow", scale, g.number(-layer.beta)))]


def _channel_sums(g: Graph, layer: Any, square: str) -> str:
    """``k + alpha / n`` times the sum over n neighbouring channels: a convolution of all ones."""
    n = layer.size
    columns = g.node("Unsqueeze", square, g.ints([1]))  # N x 1 x C x H x W
    ones = g.constant(np.full((1, 1, n, 1, 1), layer.alpha / n, np.float32), "window")
    pads = [n // 2, 0, 0] * 2
    sums = g.node("Conv", columns, ones, kernel_shape=[n, 1, 1], pads=pads)
    return g.node("Add", g.node("Squeeze", sums, g.ints([1])), g.number(layer.k))


@writes("MVN")
def mvn(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """``(x - mean) / (sqrt(var) + eps)``, the top with 4 axes."""
    x, name = bottoms[0], bottoms[0].name
    if len(x.shape) < 4:
        sizes: list[Size] = [*g.sizes(x), 1, 1, 1, 1]
        name = g.reshape(x, sizes[:4])
    axes = [1, 2, 3] if layer.param.mvn_param.across_channels else [2, 3]
    y = g.node("Sub", name, g.node("ReduceMean", name, axes=axes, keepdims=1))
    if not layer.unit:
        return [y]
    variance = g.node("ReduceMean", g.node("Mul", y, y), axes=axes, keepdims=1)
    deviation = g.node("Add", g.node("Sqrt", variance), g.number(layer.eps))
    return [g.node("Div", y, deviation)]


@writes("Normalize")
def normalize(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """``scale x / sqrt(sum x^2 + eps)``."""
    x = bottoms[0]
    axes = list(range(1, len(x.shape))) if layer.across else [1]
    square = g.node("ReduceSumSquare", x.name, axes=axes, keepdims=1)
    norm = g.node("Sqrt", g.node("Add", square, g.number(layer.eps)))
    shape = () if layer.shared else (layer.channels, *[1] * (len(x.shape) - 2))
    return [g.node("Mul", g.node("Div", x.name, norm), g.weight(layer.blobs[0], "scale", shape))]


@writes("L2Norm")
def l2_norm(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    x = bottoms[0]
    axes = list(range(1, len(x.shape)))
    return [g.node("Div", x.name, g.node("ReduceL2", x.name, axes=axes, keepdims=1))]


@writes("Softmax")
def softmax(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    return [g.node("Softmax", bottoms[0].name, axis=layer.class_axis)]
