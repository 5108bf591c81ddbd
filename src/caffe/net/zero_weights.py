"""The warning about weights that are all zero: the commonest reason for an all-zero FCN."""

from __future__ import annotations

import warnings
from typing import Any

from caffe.net.wiring import Graph

__all__ = ["ZeroWeightsWarning", "warn_of_zero_weights"]

# Running sums, offsets and user-made parameters start at zero by design.
_START_AT_ZERO = {"BatchNorm", "Bias", "DataAugmentation", "Parameter", "Python", "Scale", "PReLU"}


#: How many layers the warning names.
NAMED = 5


class ZeroWeightsWarning(UserWarning):
    """A layer's weights are all zero at the first forward pass."""


def warn_of_zero_weights(graph: Graph, source: str, first: int, last: int) -> None:
    """One warning that names the layers from `first` to `last` whose weight blob is all zero though
    nobody asked for that.

    Silent where the prototxt says so by an explicit constant-0 filler, for layer types that start
    at zero, and in training for layers named ``score...``: FCN learns its scores from zero.
    """
    found = [
        f"'{layer.name}' (type {layer.type})"
        for layer in graph.layers[first : last + 1]
        if _is_zero_unasked(layer)
    ]
    if not found:
        return
    layers, it = ("layers", "each output") if len(found) > 1 else ("layer", "its output")
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    warnings.warn(
        f"{source}: the weights of {layers} {', '.join(found[:NAMED])}{more} are all zero, so "
        f"{it} is too. Load weights (net.copy_from), give a weight_filler, or, for an "
        "upsampling Deconvolution, fill it with bilinear kernels (surgery.interp)",
        ZeroWeightsWarning,
        stacklevel=4,
    )


def _is_zero_unasked(layer: Any) -> bool:
    if not layer.blobs or layer.type in _START_AT_ZERO or not layer.blobs[0].count:
        return False
    if layer.phase == 0 and layer.name.startswith("score"):
        return False
    return not _asked_for_zero(layer.param) and _all_zero(layer.blobs[0])


def _asked_for_zero(param) -> bool:
    """True where the prototxt has a constant weight_filler written out."""
    for field, message in param.ListFields():
        if field.name.endswith("_param") and field.message_type is not None:
            if "weight_filler" in field.message_type.fields_by_name:
                given = message.HasField("weight_filler")
                return given and message.weight_filler.type == "constant"
    return False


def _all_zero(blob) -> bool:
    if blob.data_storage.is_zero:
        return True
    storage = blob.data_storage
    few = min(1024, blob.count)
    return not storage.numbers((few,)).any() and not storage.numbers((blob.count,)).any()
