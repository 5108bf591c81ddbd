"""SigmoidCrossEntropyLoss: independent yes-or-no losses of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._loss import check_first_axis, ignore_label, normalization, normalizer


@register("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(Layer):
    """``-sum [t log s(x) + (1 - t) log(1 - s(x))] / Z`` with s the sigmoid.

    Bottoms: scores, targets in 0..1 of as many values; no gradient for the targets.  Z is the
    batch size unless ``loss_param`` says otherwise.  ``ignore_label`` compares the *truncated*
    target, so that ``ignore_label: 0`` also drops soft targets between -1 and 1, as in Caffe.
    """

    bottoms = 2
    is_loss = True
    no_gradient = frozenset({1})

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.loss_param
        self.ignore = ignore_label(p)
        self.mode = normalization(p, p.BATCH_SIZE)
        self.sigmoid: torch.Tensor | None = None

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_first_axis(self, bottom_shapes)
        scores, targets = bottom_shapes
        if math.prod(scores) != math.prod(targets):
            raise self.fail(f"inputs must have the same count: scores {scores}, targets {targets}")
        self.outer, self.inner = scores[0], math.prod(scores[1:])
        return [()]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x, t = bottoms[0], bottoms[1].reshape(bottoms[0].shape)
        self.sigmoid = torch.sigmoid(x)
        losses = torch.relu(x) - x * t + torch.log1p(torch.exp(-x.abs()))
        counts = self._counts(t)
        if counts is not None:
            losses = torch.where(counts, losses, 0.0)
        return [losses.sum().div_(self._divisor(counts))]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None, None], []
        x, t = bottoms[0], bottoms[1].reshape(bottoms[0].shape)
        s = self.sigmoid
        if s is None or s.shape != x.shape:
            s = torch.zeros_like(x)  # no forward yet: all zero, as in Caffe
        counts = self._counts(t)
        diff = s - t if counts is None else torch.where(counts, s - t, 0.0)
        return [diff.mul_(top_diffs[0] / self._divisor(counts)), None], []

    def _counts(self, targets: torch.Tensor) -> torch.Tensor | None:
        return None if self.ignore is None else targets.to(torch.int64) != self.ignore

    def _divisor(self, counts: torch.Tensor | None) -> float | torch.Tensor:
        return normalizer(self.param.loss_param, self.mode, self.outer, self.inner, counts)
