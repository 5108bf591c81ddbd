"""ReLU, Sigmoid and TanH: element-wise functions whose gradient follows from their output.

All may work in place; with a negative ``negative_slope`` ReLU's gradient is then wrong, as in
Caffe, because the sign of the output does not tell the sign of the input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register

aten = torch.ops.aten


class _Elementwise(Layer):
    """One bottom, one top of its shape."""

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [bottom_shapes[0]]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None], []
        return [self._gradient(tops[0], top_diffs[0], bottoms[0])], []

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        raise self.fail("has no gradient")


@register("ReLU")
class ReLU(_Elementwise):
    """``max(x, 0) + negative_slope min(x, 0)``; the gradient at 0 is ``negative_slope``.

    -inf gives 0 for slope 0, where BVLC gives NaN (0 times -inf).
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.slope = self.param.relu_param.negative_slope

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        if self.slope:
            return [F.leaky_relu(x, self.slope, inplace=self.in_place)]
        return [x.relu_() if self.in_place else x.relu()]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if self.slope:
            return aten.leaky_relu_backward(g, x, self.slope, False)
        if self.in_place:
            return aten.threshold_backward.grad_input(g, x, 0.0, grad_input=g)
        return aten.threshold_backward(g, x, 0.0)


@register("Sigmoid")
class Sigmoid(_Elementwise):
    """``1 / (1 + exp(-x))``; gradient ``y (1 - y)``."""

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0].sigmoid_() if self.in_place else bottoms[0].sigmoid()]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return aten.sigmoid_backward(g, y)


@register("TanH")
class TanH(_Elementwise):
    """``tanh(x)``; gradient ``1 - y^2``."""

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0].tanh_() if self.in_place else bottoms[0].tanh()]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return aten.tanh_backward(g, y)
