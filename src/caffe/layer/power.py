"""Power."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register


@register("Power")
class Power(Layer):
    """``(shift + scale x)^power``, by default x.

    Where ``scale power`` is 0 the output is constant and the gradient 0.  For powers other than 1
    and 2 the gradient is ``power scale y / (shift + scale x)``: NaN at a base of 0, as in Caffe.
    In place the gradient is wrong, as in Caffe: the output stands for the input, and the local
    slope takes the place of the top diff before the two are multiplied.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.power_param
        self.power, self.scale, self.shift = p.power, p.scale, p.shift
        self.slope = self.power * self.scale

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [bottom_shapes[0]]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        if self.slope == 0:
            base = torch.full_like(x, self.shift)
            return [base.pow_(self.power) if self.power else base.fill_(1)]
        y = self._base(x)
        return [y.pow_(self.power) if self.power != 1 else y]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None], []
        x, g = bottoms[0], top_diffs[0]
        if self.slope == 0:
            return [torch.zeros_like(x)], []
        if self.power == 1:
            d = torch.full_like(x, self.slope)
        elif self.power == 2:
            d = self._base(x).mul_(self.slope)
        elif self.shift == 0:
            d = (tops[0] / x).mul_(self.power)
        else:
            d = (tops[0] / self._base(x)).mul_(self.slope)
        return [d.mul_(d if self.in_place else g)], []

    def _base(self, x: torch.Tensor) -> torch.Tensor:
        y = x * self.scale if self.scale != 1 else x.clone()
        return y.add_(self.shift) if self.shift else y
