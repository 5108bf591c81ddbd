"""MVN: zero mean and unit variance, each image or channel by itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register


@register("MVN")
class MVN(Layer):
    """``(x - mean) / (sqrt(var) + eps)`` over the H x W of each channel, or with
    ``across_channels`` over the C x H x W of each image; ``x - mean`` without
    ``normalize_variance``.  The variance is the biased one and eps (1e-9) outside the root.

    The top always has 4 axes, N x C x H x W: missing ones are 1, as in Caffe.  In place the
    gradient with ``normalize_variance`` is wrong, as in Caffe.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.mvn_param
        self.unit, self.eps = p.normalize_variance, p.eps
        self.scale: torch.Tensor | None = None  # sqrt(var) + eps, one a row

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) > 4:
            raise self.fail(f"the bottom may have 4 axes (N, C, H, W) at most, got {shape}")
        top = (*shape, 1, 1, 1, 1)[:4]
        across = self.param.mvn_param.across_channels
        self.rows = top[0] if across else top[0] * top[1]
        return [top]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        shape = (*x.shape, 1, 1, 1, 1)[:4]
        x = self._by_row(x)
        y = x - x.mean(1, keepdim=True)
        if self.unit:
            self.scale = y.square().mean(1, keepdim=True).sqrt_().add_(self.eps)
            y.div_(self.scale)
        return [y.view(shape)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        # Caffe writes this diff also where propagate_down says not to.
        g = self._by_row(top_diffs[0])
        if not self.unit:
            return [(g - g.mean(1, keepdim=True)).view(bottoms[0].shape)], []
        y = self._by_row(tops[0])
        scale = self.scale
        if scale is None or len(scale) != len(g):
            scale = g.new_zeros(len(g), 1)  # no forward yet: zero, as in Caffe
        if self.in_place:
            # Caffe's sums and products go to the bottom's diff, which here is the top's: each step
            # but the first finds the step before it in place of g.
            d = y * (y * g).sum(1, keepdim=True)
            d = (d + d.sum(1, keepdim=True)).mul_(-2 / d.shape[1])
        else:
            d = g - y * (y * g).mean(1, keepdim=True) - g.mean(1, keepdim=True)
        return [d.div_(scale).view(bottoms[0].shape)], []

    def _by_row(self, x: torch.Tensor) -> torch.Tensor:
        """One row for each mean, (rows, numbers)."""
        return x.reshape(self.rows, -1 if x.numel() else 0)
