"""SpatialDropout: random zeros for whole channels (ENet)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.layer import Shape, register
from caffe.layer.dropout import Dropout


@register("SpatialDropout")
class SpatialDropout(Dropout):
    """:class:`~caffe.layer.dropout.Dropout` with one draw an item and channel, in that order, for
    all pixels of the channel.  ``spatial_dropout_param``: ``dropout_ratio`` (0.5)."""

    def dropout_ratio(self) -> float:
        return self.param.spatial_dropout_param.dropout_ratio

    def mask_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return (*shape[:2], *[1] * (len(shape) - 2))

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        if len(bottom_shapes[0]) < 2:
            raise self.fail(f"the bottom needs a channel axis (axis 1), got {bottom_shapes[0]}")
        return super().reshape(bottom_shapes)
