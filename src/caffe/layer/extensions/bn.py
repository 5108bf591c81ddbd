"""BN: batch normalisation with its scale and shift in one layer (SegNet; PSPNet)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._keep import kept_copy

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("BN")
class BN(Layer):
    """``slope (x - mean) / sqrt(var + eps) + bias`` per channel (axis 1); may work in place.

    ``bn_param.statistics`` says which mean and variance, and with that how many blobs there are,
    each 1 x C x 1 x 1:

    MOVING (default; PSPNet): slope, bias, mean, variance.  In TRAIN the batch's own are used, and
        the last two become ``momentum`` (0.9) of themselves and the rest of the batch's; in TEST
        and with ``frozen`` they are used and do not change.  ``frozen`` fixes all four blobs.
    BATCH (SegNet's LEARN): slope, bias.  The batch's own, in TEST too.
    NONE (SegNet's INFERENCE): slope, bias.  Mean 0 and deviation 1: ``slope x + bias``.

    ``slope_filler`` and ``bias_filler`` fill with 0 by default, as every filler of the forks.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.bn_param
        shape = bottom_shapes[0]
        if len(shape) < 2:
            raise self.fail(f"the bottom needs a channel axis (axis 1), got {shape}")
        moving = p.statistics == p.MOVING
        self.plain = p.statistics == p.NONE
        self.frozen = moving and p.frozen
        self.constant = self.plain or self.frozen or (moving and self.phase == 1)
        self.moving, self.momentum, self.eps = moving, p.momentum, p.eps
        self.channels = shape[1]
        blob = (1, self.channels, 1, 1)
        self.add_blob(blob, p.slope_filler)
        self.add_blob(blob, p.bias_filler)
        if moving:
            self.add_blob(blob)
            self.add_blob(blob)
            if self.frozen and not self.param.blobs:
                self.blobs[3].data[...] = 1
            self._fix_blobs()
        self.kept: torch.Tensor | None = None  # what the top may have overwritten
        self.inverse: torch.Tensor | None = None

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) < 2 or shape[1] != self.channels:
            raise self.fail(f"its blobs are for {self.channels} channels, bottom is {shape}")
        return [shape]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        slope, bias, *moving = (self._spread(p, x) for p in params)
        if self.constant:
            if self.in_place and not self.frozen:
                self.kept = kept_copy(self.kept, x)
            if self.plain:
                return [x * slope + bias]
            factor = slope * (moving[1] + self.eps).rsqrt()
            return [x * factor + (bias - moving[0] * factor)]
        axes = [a for a in range(x.ndim) if a != 1]
        mean = x.mean(axes, keepdim=True)
        normal = x - mean
        var = normal.square().mean(axes, keepdim=True)
        for blob, batch in zip(moving, (mean, var)):
            blob.mul_(self.momentum).add_(batch.view_as(blob), alpha=1 - self.momentum)
        self.inverse = (var + self.eps).rsqrt_()
        normal.mul_(self.inverse)
        self.kept = normal
        return [normal * slope + bias]

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        super().forward_blobs(bottom, top)
        if self.moving and not self.constant:
            for blob in self.blobs[2:]:
                blob.touch_data()

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        g = top_diffs[0]
        axes = [a for a in range(g.ndim) if a != 1]
        slope, _, *moving = (self._spread(p, g) for p in params)
        normal, inverse = self._normal(bottoms[0], moving)
        diffs: MaybeTensors = [None] * len(params)
        if not self.frozen:
            if need.params[0]:
                diffs[0] = (g * normal).sum(axes).view(params[0].shape)
            if need.params[1]:
                diffs[1] = g.sum(axes).view(params[1].shape)
        if not need.bottoms[0]:
            return [None], diffs
        inner = g * slope
        if not self.constant:
            along = (inner * normal).mean(axes, keepdim=True)
            inner = inner - inner.mean(axes, keepdim=True) - normal * along
        return [inner * inverse], diffs

    def _normal(
        self, x: torch.Tensor, moving: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The normalised bottom of the last forward pass, and 1 / sqrt(var + eps)."""
        if not self.constant:
            kept, inverse = self.kept, self.inverse
            if kept is None or inverse is None or kept.shape != x.shape:  # no forward yet
                return torch.zeros_like(x), x.new_zeros(1)
            return kept, inverse
        if self.in_place and self.kept is not None and self.kept.shape == x.shape:
            x = self.kept
        if self.plain:
            return x, x.new_ones(1)
        inverse = (moving[1] + self.eps).rsqrt()
        return (x - moving[0]) * inverse, inverse

    def _spread(self, values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """One value a channel, as a view that broadcasts against ``x``."""
        return values.view(-1, *([1] * (x.ndim - 2)))

    def _fix_blobs(self) -> None:
        """Multipliers 0 for the statistics, with ``frozen`` for all blobs; in a copy, as the net
        goes by what was written when it decides what runs backward (see BatchNorm)."""
        own = type(self.param)()
        own.CopyFrom(self.param)
        self.param = own
        while len(own.param) < 4:
            own.param.add()
        for spec in own.param[0 if self.frozen else 2 : 4]:
            spec.lr_mult = spec.decay_mult = 0


@register("SyncBN")
class SyncBN(BN):
    """:class:`BN` under its name in training on several GPUs.  Each process takes its own
    statistics here; with one process, and in TEST, the two are the same."""
