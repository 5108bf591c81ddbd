"""Weights into a net, and the certainty that none is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fcn.weights.find import MissingWeights

if TYPE_CHECKING:
    import caffe

__all__ = ["load_weights"]


def load_weights(net: caffe.Net, path: str) -> None:
    """Copy weights into a net and make sure that each parameter got one.

    ``copy_from`` goes by layer name and passes over what the file lacks, which would leave the
    fillers' random values.
    """
    for blobs in net.params.values():
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
