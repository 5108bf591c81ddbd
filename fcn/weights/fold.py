"""BatchNorm and Scale folded into the convolution before them: one affine map instead of three.

With stored statistics (`use_global_stats`) BatchNorm is the affine map (x − mean) / √(variance +
eps) of each channel, and so is Scale; both can be written into a convolution's weights and bias.
The net then computes the same numbers with a third of the layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from caffe.proto import caffe_pb2

__all__ = ["foldable", "folded"]


def foldable(layers: Sequence[caffe_pb2.LayerParameter]) -> dict[str, tuple[Any, ...]]:
    """{convolution: (its layer, BatchNorm, Scale)} of the LayerParameters of a net, by name.

    Found by the blobs' names, so each follows directly on the one before it.
    """
    chains: dict[str, tuple[Any, ...]] = {}
    made_by: dict[str, tuple[Any, ...]] = {}
    for layer in layers:
        before = made_by.get(layer.bottom[0], ()) if layer.bottom else ()
        for blob in layer.top:
            made_by[blob] = ()
        if not layer.top:
            continue
        if layer.type == "Convolution":
            made_by[layer.top[0]] = (layer,)
        elif layer.type == "BatchNorm" and len(before) == 1:
            made_by[layer.top[0]] = before + (layer,)
        elif layer.type == "Scale" and len(before) == 2 and len(layer.bottom) == 1:
            chains[before[0].name] = before + (layer,)
    return chains


def folded(
    weight: np.ndarray,
    bias: np.ndarray | None,
    statistics: Sequence[np.ndarray],
    eps: float,
    scale: Sequence[np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """(weight, bias) of one convolution that computes what the three layers did, float32.

    weight: O×C×H×W; bias: O, or None. statistics: BatchNorm's blobs: mean and variance, both times
    a factor, and that factor. eps: of BatchNorm. scale: Scale's blobs: gamma, and beta or nothing.
    """
    mean, variance, factor = (np.asarray(blob, np.float64).ravel() for blob in statistics)
    by = 0.0 if factor[0] == 0 else 1 / factor[0]
    gamma = np.asarray(scale[0], np.float64).ravel()
    slope = gamma / np.sqrt(variance * by + eps)
    beta = np.asarray(scale[1], np.float64).ravel() if len(scale) > 1 else 0.0
    start = 0.0 if bias is None else np.asarray(bias, np.float64).ravel()
    weight = np.asarray(weight, np.float64)
    return (
        (weight * slope.reshape((-1,) + (1,) * (weight.ndim - 1))).astype(np.float32),
        ((start - mean * by) * slope + beta).astype(np.float32),
    )
