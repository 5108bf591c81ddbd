"""HardSigmoid, HardSwish, Mish: activations of small nets, element by element, in place or
not (MobileNet v3, YOLO v4 converted)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from caffe.layer import Tensors, register
from caffe.layer._elementwise import Elementwise
from caffe.layer._keep import kept_copy

aten = torch.ops.aten


@register("HardSigmoid")
class HardSigmoid(Elementwise):
    """``min(max(x + 3, 0), 6) / 6``; gradient 1/6 where the result is neither 0 nor 1."""

    any_precision = True

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [F.hardsigmoid(bottoms[0], inplace=self.in_place)]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return g * ((y > 0) & (y < 1)) / 6


@register("HSigmoid")
class HSigmoid(HardSigmoid):
    """:class:`HardSigmoid` under its other name."""


class _Kept(Elementwise):
    """An activation whose gradient needs x; in place it keeps a copy from the forward pass."""

    kept: torch.Tensor | None = None

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        if self.in_place:
            self.kept = kept_copy(self.kept, bottoms[0])
        return [self._value(bottoms[0])]

    def _value(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if self.in_place and self.kept is not None and self.kept.shape == x.shape:
            x = self.kept
        return self._slope(g, x)

    def _slope(self, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The bottom's diff."""
        raise NotImplementedError


@register("HardSwish")
class HardSwish(_Kept):
    """``x min(max(x + 3, 0), 6) / 6``."""

    def _value(self, x: torch.Tensor) -> torch.Tensor:
        return F.hardswish(x)

    def _slope(self, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return aten.hardswish_backward(g, x)


@register("HSwish")
class HSwish(HardSwish):
    """:class:`HardSwish` under its other name."""


@register("Mish")
class Mish(_Kept):
    """``x tanh(log(1 + exp(x)))``."""

    def _value(self, x: torch.Tensor) -> torch.Tensor:
        return F.mish(x)

    def _slope(self, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return aten.mish_backward(g, x)
