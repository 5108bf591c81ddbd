"""BatchNorm with stored statistics, Scale and Bias by channel as ``x scale + shift``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from caffe.layer import Layer
from caffe.layer.batch_norm import BatchNorm
from caffe.layer.bias import Bias
from caffe.layer.scale import Scale

__all__ = ["is_affine_of", "scale_and_shift"]


def is_affine_of(layer: Layer, channels: int) -> bool:
    """Whether the layer multiplies and adds by channel, of so many, from parameters."""
    if type(layer) is BatchNorm:
        return bool(layer.use_global)
    if type(layer) not in (Scale, Bias) or not layer.learned:  # type: ignore[attr-defined]
        return False
    settings = layer.param.scale_param if type(layer) is Scale else layer.param.bias_param
    return settings.axis in (1, -3) and layer.blobs[0].dims == (channels,)


def scale_and_shift(
    layer: Any, weights: Sequence[torch.Tensor] | None = None
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """An affine layer as ``x scale + shift`` by channel, in float64; with its own weights, or with
    these."""
    given = [blob.data_tensor() for blob in layer.blobs] if weights is None else weights
    values = [value.double() for value in given]
    if type(layer) is BatchNorm:
        mean_sum, variance_sum, count = values
        factor = torch.where(count == 0, 0.0, 1 / count)
        scale = (variance_sum * factor + layer.eps).rsqrt()
        return scale, -mean_sum * factor * scale
    if type(layer) is Bias:
        return None, values[0]
    return values[0], values[1] if len(values) > 1 else None
