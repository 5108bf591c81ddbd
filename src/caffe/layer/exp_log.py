"""Exp and Log, to any base, of ``shift + scale x``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from caffe.errors import LayerError
from caffe.layer import Shape, Tensors, register
from caffe.layer._elementwise import Elementwise

NATURAL = -1.0  # the base that stands for e


class _ToBase(Elementwise):
    """What the two have in common: ``base`` (-1, which means e), ``scale`` (1), ``shift`` (0)."""

    def _read(self, p: Any) -> None:
        if p.base != NATURAL and not 0 < p.base < math.inf:
            raise self.fail(
                f"base must be positive and finite, or -1 for e: got {p.base:g}", LayerError
            )
        self.log_base = 1.0 if p.base == NATURAL else math.log(p.base)
        self.scale, self.shift = p.scale, p.shift


@register("Exp")
class Exp(_ToBase):
    """``base^(shift + scale x)``; gradient ``y scale ln(base)``.  May work in place."""

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self._read(self.param.exp_param)
        self.inner = self.scale * self.log_base
        try:
            self.outer = math.exp(self.shift * self.log_base)
        except OverflowError:
            self.outer = math.inf

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        y = bottoms[0] * self.inner if self.inner != 1 else bottoms[0].clone()
        y.exp_()
        return [y.mul_(self.outer) if self.outer != 1 else y]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return (y * g).mul_(self.inner)


@register("Log")
class Log(_ToBase):
    """``log(shift + scale x) / ln(base)``; gradient ``scale / (ln(base) (shift + scale x))``.

    In place the gradient is wrong, as in Caffe: the output stands for the input, and the local
    slope takes the place of the top diff before the two are multiplied.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self._read(self.param.log_param)
        if self.log_base == 0:
            raise self.fail("there is no logarithm to the base 1", LayerError)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        y = self._argument(bottoms[0]).log_()
        return [y.div_(self.log_base) if self.log_base != 1 else y]

    def _gradient(self, y: torch.Tensor, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        d = self._argument(x).reciprocal_().mul_(self.scale / self.log_base)
        return d.mul_(d if self.in_place else g)

    def _argument(self, x: torch.Tensor) -> torch.Tensor:
        """``shift + scale x`` in memory of its own."""
        y = x * self.scale if self.scale != 1 else x.clone()
        return y.add_(self.shift) if self.shift else y
