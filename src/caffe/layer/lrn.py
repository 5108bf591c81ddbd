"""LRN: local response normalisation, across channels or within one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe import kernels
from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.native import lrn_within

aten = torch.ops.aten


@register("LRN")
class LRN(Layer):
    """With n = ``local_size`` (5, odd):

    ACROSS_CHANNELS: ``x s^-beta``, ``s = k + alpha / n * sum of x^2 over n channels``.
    WITHIN_CHANNEL: ``x (1 + alpha / n^2 * sum of x^2 over n x n pixels)^-beta``; k is ignored.

    In place follows Caffe: across channels the output is ``s^(-2 beta)`` (the input is lost before
    it is read), and both gradients take the output for the input.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.lrn_param
        self.size, self.alpha, self.beta, self.k = p.local_size, p.alpha, p.beta, p.k
        if self.size % 2 == 0:
            raise self.fail(f"only supports odd values for local_size, got {self.size}", LayerError)
        self.across = p.norm_region == p.ACROSS_CHANNELS
        self.scale: torch.Tensor | None = None  # s, or 1 + alpha times the mean square
        self.factor: torch.Tensor | None = None  # of WITHIN_CHANNEL: scale^-beta; None: native's

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        if len(bottom_shapes[0]) != 4:
            raise self.fail(f"the bottom must have 4 axes (N, C, H, W), got {bottom_shapes[0]}")
        return [bottom_shapes[0]]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        if self.across:
            self.scale = _channel_sums(x * x, self.size).mul_(self.alpha / self.size).add_(self.k)
            y = _inverse_power(self.scale, self.beta)
            return [y.mul_(y if self.in_place else x)]
        if kernels.enabled() and lrn_within.applies(x):
            y, self.scale = lrn_within.forward(x, self.size, self.alpha, self.beta)
            self.factor = None
            return [y]
        self.scale = self._image_means(x * x).mul_(self.alpha).add_(1)
        self.factor = _inverse_power(self.scale, self.beta)
        return [x * self.factor]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        g, x, y = top_diffs[0], bottoms[0], tops[0]
        s, factor = self.scale, self.factor
        if s is not None and factor is None and not self.across and s.shape == x.shape:
            if not need.bottoms[0]:
                return [None], []
            return [lrn_within.backward(g, x, s, self.size, self.alpha, self.beta)], []
        if s is None or s.shape != x.shape:
            s = factor = torch.zeros_like(x)  # no forward yet: all zero, as in Caffe
        if self.across:  # Caffe writes this diff also where propagate_down says not to
            power = _inverse_power(s, self.beta)
            if self.in_place:
                g = d = power * power  # g was overwritten by s^-beta before it is used
            else:
                d = g * power
            sums = _channel_sums(g * y / s, self.size)
            return [d - (2 * self.alpha * self.beta / self.size) * x * sums], []
        if factor is None or not need.bottoms[0]:
            return [None], []
        g_mean = (g * x) * factor / s * (-self.beta * self.alpha)
        n = self.size
        g_square = aten.avg_pool2d_backward(
            g_mean, x, [n, n], [1, 1], [n // 2] * 2, False, True, None
        )
        return [g * factor + g_square * x * 2], []

    def _image_means(self, x: torch.Tensor) -> torch.Tensor:
        n = self.size
        return aten.avg_pool2d(x, [n, n], [1, 1], [n // 2, n // 2], False, True)


def _channel_sums(x: torch.Tensor, size: int) -> torch.Tensor:
    """Sums over ``size`` neighbouring channels, fewer at the ends."""
    total = x.clone()
    for d in range(1, min(size // 2, x.shape[1] - 1) + 1):
        total[:, d:] += x[:, :-d]
        total[:, :-d] += x[:, d:]
    return total


def _inverse_power(s: torch.Tensor, beta: float) -> torch.Tensor:
    """``s^-beta``; by square roots, which are much faster, for the beta that everybody uses."""
    if beta != 0.75:
        return s.pow(-beta)
    root = s.rsqrt()
    return root.sqrt().mul_(root)
