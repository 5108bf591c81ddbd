"""Softmax."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe._planes import planes
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register


@register("Softmax")
class Softmax(Layer):
    """``exp(x) / sum exp(x)`` along ``softmax_param.axis`` (default 1); may work in place."""

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        self.class_axis = self.axis(self.param.softmax_param.axis, len(shape))
        return [shape]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [softmax(bottoms[0], self.class_axis)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        # Caffe writes this diff also where propagate_down says not to.
        g, y = top_diffs[0], tops[0]
        return [torch.ops.aten._softmax_backward_data(g, y, self.class_axis, g.dtype)], []


def softmax(x: torch.Tensor, axis: int) -> torch.Tensor:
    """``exp(x) / sum exp(x)`` along ``axis``, in memory in Caffe's order."""
    return torch.softmax(planes(x), axis)  # it copies by itself, but slowly
