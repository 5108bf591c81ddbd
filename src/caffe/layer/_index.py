"""Indices that come as floats in a blob."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from caffe.layer import Layer


def checked_index(layer: Layer, values: torch.Tensor, size: int, what: str) -> torch.Tensor:
    """``values`` as integers, rounded toward zero; raises ShapeError, naming the first value and
    its position, unless all are in [0, size).  A wrong one must not reach the device: there it
    would read and write foreign memory, or end the use of a GPU."""
    good = (values >= 0) & (values < size)  # NaN is in no range
    if not bool(good.all()):
        position = tuple(int(i) for i in (~good).nonzero()[0])
        raise layer.fail(
            f"{what} must be in [0, {size}), got {values[position].item():g} at position "
            f"{position} of a bottom of {tuple(values.shape)}"
        )
    return values.long()
