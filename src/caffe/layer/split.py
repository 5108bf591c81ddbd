"""Split: one blob under several names, so that its gradients can be added."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe.layer import Layer, Need, register

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("Split")
class Split(Layer):
    """The tops share the bottom's data; the bottom's diff is the sum of the tops' diffs.

    The net inserts these layers wherever a blob is consumed more than once.
    """

    any_precision = True
    tops = (1, None)
    refuses_in_place = True

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob in top:
            blob.set_dims(bottom[0].dims)

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob in top:
            blob.share_data(bottom[0])

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        if not need.bottoms[0]:
            return
        # A top whose consumer does not propagate back has a diff that was never written.
        parts = [blob.diff_tensor() for blob in top if not blob.diff_storage.is_zero]
        if not parts:
            bottom[0].zero_diff()
            return
        total = parts[0] + parts[1] if len(parts) > 1 else parts[0].clone()
        for part in parts[2:]:
            total += part
        bottom[0].set_diff(total)
