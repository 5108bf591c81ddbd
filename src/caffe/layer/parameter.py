"""Parameter: a learned blob as the top of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caffe.layer import Layer, Need, register

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("Parameter")
class Parameter(Layer):
    """One parameter of ``parameter_param.shape``, zero at first, that other layers read as a blob.

    From the first forward pass on the top is the parameter: the same data and the same diff.  So
    whoever reads it overwrites the parameter's gradient instead of adding to it, as in Caffe:
    ``iter_size`` has no effect on it.
    """

    bottoms = 0

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.add_blob(tuple(self.param.parameter_param.shape.dim))

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].set_dims(self.param.parameter_param.shape.dim)

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        top[0].share_data(self.blobs[0])
        top[0].share_diff(self.blobs[0])

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Nothing: the top's diff is the parameter's."""
