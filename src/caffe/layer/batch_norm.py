"""BatchNorm: zero mean and unit variance per channel, without a learned scale or shift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._keep import kept_copy

if TYPE_CHECKING:
    from caffe.blob import Blob

aten = torch.ops.aten


@register("BatchNorm")
class BatchNorm(Layer):
    """``(x - mean) / sqrt(var + eps)`` per channel (axis 1); may work in place.

    Three blobs: sums of means (C) and of variances (C), and how many were summed (1), each decayed
    by ``moving_average_fraction`` (0.999) in every forward pass that uses the batch's own
    statistics: ``use_global_stats: false``, by default in TRAIN.  Otherwise the first two divided
    by the third are used and count as constants in the gradient.  Usually a Scale follows.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.batch_norm_param
        shape = bottom_shapes[0]
        if len(shape) < 2:
            raise self.fail(f"the bottom needs a channel axis (axis 1), got {shape}")
        self.use_global = p.use_global_stats if p.HasField("use_global_stats") else self.phase == 1
        self.decay, self.eps = p.moving_average_fraction, p.eps
        self.channels = shape[1]
        for size in (self.channels, self.channels, 1):
            self.add_blob((size,))
        self._freeze_blobs()
        self.normal: torch.Tensor | None = None  # the last output, which a Scale may overwrite
        self.inverse: torch.Tensor | None = None  # 1 / sqrt(var + eps), (C)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) < 2 or shape[1] != self.channels:
            raise self.fail(f"its statistics are for {self.channels} channels, bottom is {shape}")
        return [shape]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        mean_sum, var_sum, count = params
        if self.use_global:
            factor = torch.where(count == 0, 0.0, 1 / count)
            mean, var = mean_sum * factor, var_sum * factor
            self.inverse = (var + self.eps).rsqrt_()
            self.normal = None
            return [aten.native_batch_norm(x, None, None, mean, var, False, 0.0, self.eps)[0]]
        axes = [a for a in range(x.ndim) if a != 1]
        mean = x.mean(axes)
        y = x - self._spread(mean, x)
        m = math.prod(x.shape) // self.channels
        # The squares go where the copy of y goes below: several times as fast as a norm.
        self.normal = kept_copy(self.normal, y)
        var = self.normal.mul_(y).mean(axes)
        self.inverse = (var + self.eps).rsqrt_()
        y.mul_(self._spread(self.inverse, x))
        count.mul_(self.decay).add_(1)
        mean_sum.mul_(self.decay).add_(mean)
        var_sum.mul_(self.decay).add_(var, alpha=m / (m - 1) if m > 1 else 1)
        self.normal.copy_(y)
        return [y]

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().forward_blobs(bottom, top)
        if not self.use_global:
            for blob in self.blobs:
                blob.touch_data()

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        # Caffe writes this diff also where propagate_down says not to.
        g, y, inverse = top_diffs[0], self.normal, self.inverse
        if inverse is None:  # no forward yet: the deviation is 0, as in Caffe
            inverse = torch.full_like(params[0], torch.inf)
        if self.use_global:
            return [g * self._spread(inverse, g)], [None] * 3
        if y is None or y.shape != g.shape:
            y = torch.zeros_like(g)
        # (g - mean(g) - mean(g y) y) / sqrt(var + eps): y has mean 0 and, up to eps, deviation 1.
        zero, one = torch.zeros_like(inverse), torch.ones_like(inverse)
        mask = [True, False, False]
        if g.ndim == 4 and not g.is_cuda:
            # Two memory formats at once take ten times as long.
            last = y.is_contiguous(memory_format=torch.channels_last)
            g = g.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
        diff = aten.native_batch_norm_backward(
            g, y, inverse, None, None, zero, one, True, self.eps, mask
        )[0]
        return [diff], [None] * 3

    def _spread(self, values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """One value a channel, as a view that broadcasts against ``x``."""
        return values.view(-1, *([1] * (x.ndim - 2)))

    def _freeze_blobs(self) -> None:
        """Give the blobs lr_mult 0, in a copy: the net counts unset ones as learnable when it
        decides what runs backward, as BVLC does."""
        own = type(self.param)()
        own.CopyFrom(self.param)
        self.param = own
        for spec in own.param:
            if spec.lr_mult != 0:
                raise self.fail(
                    "cannot configure batch normalization statistics as layer parameters: "
                    "lr_mult must be 0 for all three",
                    LayerError,
                )
        while len(own.param) < 3:
            own.param.add().lr_mult = 0
