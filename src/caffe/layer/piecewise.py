"""AbsVal, Clip and Threshold: functions made of straight pieces, element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import Shape, Tensors, register
from caffe.layer._elementwise import Elementwise


@register("AbsVal")
class AbsVal(Elementwise):
    """``|x|``; the gradient is the sign of x, 0 at 0."""

    refuses_in_place = True

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0].abs()]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return x.sign() * g


@register("Clip")
class Clip(Elementwise):
    """``max(min, min(x, max))``; the gradient passes from ``min`` to ``max``, both included.

    NaN becomes ``min``, and so does everything where ``min`` is above ``max``.  In place the
    gradient passes everywhere, as in Caffe: no clipped value is outside.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        if not self.param.HasField("clip_param"):
            raise self.fail("needs clip_param { min: ... max: ... }", LayerError)
        self.low, self.high = self.param.clip_param.min, self.param.clip_param.max

        # PyTorch's slope is 0 at the bounds already: here it is from the next number outwards.
        ends = torch.tensor([self.low, self.high])
        outwards = torch.nextafter(ends, torch.tensor([-math.inf, math.inf]))
        self.beyond: list[float] = outwards.tolist()

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        if self.low > self.high:
            return [torch.full_like(bottoms[0], self.low)]
        x = bottoms[0]
        y = (x.clamp_ if self.in_place else x.clamp)(self.low, self.high)  # which passes NaN on
        if y.is_cpu and bool(y.sum().isfinite()):  # reading is a third of writing
            return [y]
        return [y.nan_to_num_(nan=self.low, posinf=self.high, neginf=self.low)]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        # A quarter of the time; but it takes NaN for inside, and a diff of inf · 0 for 0.
        on_host = x.device.type == "cpu"  # elsewhere the host would wait for the sums
        if on_host and x.dtype == torch.float32 and (x.sum() + g.sum()).isfinite():
            return torch.ops.aten.hardtanh_backward(g, x, *self.beyond)
        return g * ((x >= self.low) & (x <= self.high))


@register("Threshold")
class Threshold(Elementwise):
    """1 where x is greater than ``threshold`` (0), else 0.  It has no gradient."""

    differentiable = False

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.threshold = self.param.threshold_param.threshold

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [(bottoms[0] > self.threshold).to(bottoms[0].dtype)]
