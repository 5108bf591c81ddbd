"""Silence: consumes blobs, so that they are no outputs of the net."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe.layer import Layer, Need, register

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("Silence")
class Silence(Layer):
    """No tops; the bottoms' diffs are zeroed where asked for."""

    any_precision = True
    bottoms = (1, None)
    tops = 0

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing to shape."""

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing to compute."""

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        for blob, needed in zip(bottom, need.bottoms):
            if needed:
                blob.zero_diff()
