"""Weights into a net, and the certainty that none is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fcn.weights.bilinear import upsample_filt
from fcn.weights.find import MissingWeights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import caffe

__all__ = ["bilinear", "load_weights"]


def load_weights(net: caffe.Net, path: str) -> None:
    """Copy weights into a net and make sure that each parameter got one.

    ``copy_from`` goes by layer name and passes over what the file lacks, which would leave the
    fillers' random values. Bilinear upsampling that its filler has made needs none.
    """
    for blobs in net.params.values():
        if not bilinear(blobs):
            for blob in blobs:
                blob.data.flat[0] = np.nan
    net.copy_from(path)
    left = [
        name
        for name, blobs in net.params.items()
        if any(np.isnan(blob.data.flat[0]) for blob in blobs)
    ]
    if left:
        raise MissingWeights(
            f"'{path}' has no usable weights for {len(left)} of the net's {len(net.params)} layers "
            f"with parameters: {', '.join(left[:5])}{', ...' if len(left) > 5 else ''}; are these "
            "the weights of another net?"
        )


def bilinear(blobs: Sequence[Any]) -> bool:
    """Whether all weights of a layer are bilinear kernels (1x1: ones), each channel's its own."""
    if len(blobs) > 1 or len(blobs[0].shape) != 4 or blobs[0].shape[1] != 1:
        return False
    kernels = blobs[0].data
    height, width = kernels.shape[2:]
    return height == width and np.allclose(kernels, upsample_filt(height), atol=1e-6)
