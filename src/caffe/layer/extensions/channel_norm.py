"""ChannelNorm: the length of each pixel's vector of channels (FlowNet 2)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register


@register("ChannelNorm")
class ChannelNorm(Layer):
    """N x C x H x W to N x 1 x H x W: the square root of the sum of squares over the channels.

    The gradient is ``x / (y + 1e-9)``, so it is 0 where all channels are.
    """

    refuses_in_place = True

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) != 4:
            raise self.fail(f"the bottom must have 4 axes (N, C, H, W), got {shape}")
        return [(shape[0], 1, *shape[2:])]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0].square().sum(1, keepdim=True).sqrt_()]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        return [bottoms[0] * (top_diffs[0] / (tops[0] + 1e-9)) if need.bottoms[0] else None], []
