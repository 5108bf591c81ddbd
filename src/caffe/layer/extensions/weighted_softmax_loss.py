"""WeightedSoftmaxWithLoss: SoftmaxWithLoss with a weight for each position."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.layer import MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._loss import normalizer
from caffe.layer.softmax import softmax
from caffe.layer.softmax_loss import SMALLEST, SoftmaxWithLoss


@register("WeightedSoftmaxWithLoss")
class WeightedSoftmaxWithLoss(SoftmaxWithLoss):
    """``-sum w log max(p_label, 1.2e-38) / Z`` over the positions that are not ignored.

    A third bottom has the weights w, one a label, without a gradient.  ``loss_param`` as of
    SoftmaxWithLoss; with VALID, the default, Z is the sum of the weights, at least 1.
    """

    bottoms = 3
    no_gradient = frozenset({1, 2})

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        labels, weights = bottom_shapes[1:]
        if math.prod(labels) != math.prod(weights):
            raise self.fail(f"needs one weight a label: labels {labels}, weights {weights}")
        return super().reshape(bottom_shapes[:2])

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        scores, labels, weights = bottoms
        index, weights = self._weights(scores, labels, weights)
        self.prob = softmax(scores, self.class_axis)
        losses = self.prob.gather(self.class_axis, index).clamp_(min=SMALLEST).log_()
        loss = (losses * weights).sum() / -self._sum_divisor(weights)
        return [loss, self.prob][: self.num_tops]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None] * 3, []
        scores, labels, weights = bottoms
        index, weights = self._weights(scores, labels, weights)
        prob = tops[1] if self.num_tops > 1 else self.prob
        if prob is None or prob.shape != scores.shape:
            prob = torch.zeros_like(scores)
        scale = weights * (top_diffs[0] / self._sum_divisor(weights))
        return [(prob * scale).scatter_add_(self.class_axis, index, -scale), None, None], []

    def _weights(
        self, scores: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Indices and weights, 0 where a label is ignored, with the scores' axes."""
        index, counts = self._labels(scores, labels)
        weights = weights.reshape(index.shape)
        return index, weights if counts is None else torch.where(counts, weights, 0.0)

    def _sum_divisor(self, weights: torch.Tensor) -> float | torch.Tensor:
        p = self.param.loss_param
        if self.mode == p.VALID:
            return weights.sum().clamp(min=1)
        return normalizer(p, self.mode, self.outer, self.inner, None)
