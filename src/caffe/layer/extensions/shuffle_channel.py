"""ShuffleChannel: channels dealt out over groups (ShuffleNet)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register


@register("ShuffleChannel")
class ShuffleChannel(Layer):
    """Of C channels in ``shuffle_channel_param.group`` groups of K, channel ``g K + k`` becomes
    channel ``k group + g``."""

    any_precision = True
    refuses_in_place = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.group = self.param.shuffle_channel_param.group
        if self.group < 1:
            raise self.fail(f"group must be positive, got {self.group}", LayerError)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) < 2 or shape[1] % self.group:
            raise self.fail(
                f"the channels (axis 1) must be a multiple of group {self.group}, got {shape}"
            )
        return [shape]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        groups = x.reshape(x.shape[0], self.group, x.shape[1] // self.group, *x.shape[2:])
        return [groups.transpose(1, 2).reshape(x.shape)]
