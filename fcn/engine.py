"""What pycaffe's interface makes costly on a GPU, done by our engine's own means where it runs.

On BVLC Caffe each function does the same by the common interface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import caffe
    from caffe.blob import Blob

__all__ = ["all_finite", "argmax", "deferred", "forward"]


def forward(net: caffe.Net, start: int = 0) -> None:
    """A forward pass, from the layer of that number on, whose outputs the caller does not ask for:
    nothing of them is fetched."""
    if hasattr(net, "argmax"):
        net._forward(start, len(net.layers) - 1)
    else:
        net.forward(start=list(net._layer_names)[start])


def argmax(net: caffe.Net, blob: str) -> np.ndarray:
    """The class with the highest score at each place, (N, H, W); of equal scores the lowest.

    Where the scores lie on a GPU, bytes are fetched and not floats of every class.
    """
    if hasattr(net, "argmax"):
        return net.argmax(blob)
    return net.blobs[blob].data.argmax(1)


def all_finite(blob: Blob) -> bool:
    """Whether no value of the blob is NaN or infinite; on a GPU found out there."""
    if hasattr(blob, "all_finite"):
        return blob.all_finite()
    return bool(np.isfinite(blob.data).all())


def deferred(blob: Blob) -> Any:
    """The blob's values as they are now: a function that gives them.

    With our engine on a GPU nobody waits for them before that function is called.
    """
    if hasattr(blob, "deferred"):
        return blob.deferred()
    values = np.array(blob.data)
    return lambda: values
