"""Normalize: division by the Euclidean norm, times a learned scale (ParseNet; SSD)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.proto import caffe_pb2


@register("Normalize")
class Normalize(Layer):
    """``scale x / sqrt(sum x^2 + eps)``: the sum over everything but the first axis with
    ``across_spatial`` (the default), else over the channels (axis 1) of each pixel.

    ``norm_param``: ``channel_shared`` (the default) makes ``scale`` one number, otherwise it is one
    a channel; ``scale_filler`` fills it, with 1 by default; ``eps`` 1e-10.

    The gradient of the bottom is SSD's: ``scale (g - x sum(x g) / norm^2) / norm``.  It is the
    derivative as long as the channels have one scale; with different scales the derivative has
    them in the sum as well.
    """

    refuses_in_place = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.norm_param
        shape = bottom_shapes[0]
        if len(shape) < 2:
            raise self.fail(f"the bottom needs a channel axis (axis 1), got {shape}")
        self.across, self.shared, self.eps = p.across_spatial, p.channel_shared, p.eps
        self.channels = shape[1]
        filler = p.scale_filler
        if not p.HasField("scale_filler"):
            filler = caffe_pb2.FillerParameter(type="constant", value=1)
        self.add_blob(() if self.shared else (self.channels,), filler)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) < 2 or (not self.shared and shape[1] != self.channels):
            raise self.fail(f"its scale is for {self.channels} channels, the bottom is {shape}")
        return [shape]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        return [x * self._inverse(x) * self._scale(params[0], x)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        x, g = bottoms[0], top_diffs[0]
        inverse = self._inverse(x)
        unit = x * inverse
        product = unit * g
        diff = scale_diff = None
        if need.params[0]:
            axes = [axis for axis in range(x.ndim) if self.shared or axis != 1]
            scale_diff = product.sum(axes).view(params[0].shape)
        if need.bottoms[0]:
            along = product.sum(self._axes(x), keepdim=True)
            diff = (g - unit * along) * inverse * self._scale(params[0], x)
        return [diff], [scale_diff]

    def _axes(self, x: torch.Tensor) -> list[int]:
        return list(range(1, x.ndim)) if self.across else [1]

    def _inverse(self, x: torch.Tensor) -> torch.Tensor:
        """One over the norm, with axes of length 1 where it was summed."""
        return (x.square().sum(self._axes(x), keepdim=True) + self.eps).rsqrt_()

    def _scale(self, scale: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return scale if self.shared else scale.view(-1, *([1] * (x.ndim - 2)))
