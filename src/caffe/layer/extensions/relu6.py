"""ReLU6: a ReLU that ends at 6 (MobileNets)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.layer import Shape, Tensors, register
from caffe.layer._elementwise import Elementwise


@register("ReLU6")
class ReLU6(Elementwise):
    """``min(max(x, 0), 6) + negative_slope min(x, 0)``; may work in place where the slope is not
    negative.

    ``relu_param`` or ``relu6_param``: ``negative_slope`` 0.  The gradient is 1 between 0 and 6,
    without the ends, ``negative_slope`` up to 0, and 0 from 6 on.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.relu6_param if self.param.HasField("relu6_param") else self.param.relu_param
        self.slope = p.negative_slope

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        y = x.clamp(0, 6)
        if self.slope:
            y += x.clamp(max=0) * self.slope
        return [y]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        inside = (y > 0) & (y < 6)
        if self.slope:
            return torch.where(x > 0, g * inside, g * self.slope)
        return g * inside
