"""MultinomialLogisticLoss: the loss of probabilities, where SoftmaxWithLoss takes scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.layer import MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._loss import LabelReader, check_first_axis

SMALLEST = 1e-20  # probabilities below count as this


@register("MultinomialLogisticLoss")
class MultinomialLogisticLoss(LabelReader):
    """``-sum log max(p_label, 1e-20) / N``.

    Bottoms: probabilities (N, classes...), labels (N) or (N, 1, 1, 1); no gradient for the labels.
    """

    bottoms = 2
    is_loss = True
    no_gradient = frozenset({1})

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_first_axis(self, bottom_shapes)
        labels = bottom_shapes[1]
        if math.prod(labels[1:]) != 1:
            raise self.fail(
                f"needs one label an item: expected the shape ({labels[0]}) or "
                f"({labels[0]}, 1, 1, 1), received {labels}"
            )
        return [()]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        p, labels = bottoms
        picked = p.reshape(p.shape[0], -1).gather(1, self.first_labels(p, labels))
        return [picked.clamp_(min=SMALLEST).log_().sum().div_(-p.shape[0])]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None, None], []
        p, labels = bottoms
        rows = p.reshape(p.shape[0], -1)
        index = self.first_labels(p, labels)
        picked = rows.gather(1, index).clamp_(min=SMALLEST)
        scale = top_diffs[0] / -p.shape[0]
        return [torch.zeros_like(rows).scatter_(1, index, scale / picked).view(p.shape), None], []
