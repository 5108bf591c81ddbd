"""Accuracy: the share of right predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import Shape, Tensors, register
from caffe.layer._indices import Limits
from caffe.layer._loss import LabelReader, check_label_count, ignore_label


@register("Accuracy")
class Accuracy(LabelReader):
    """Right where fewer than ``top_k`` (1) other classes score at least as high as the true one:
    a tie is wrong, and a true class with the score NaN is right, as in Caffe.

    Bottoms: scores with classes on ``axis`` (1), labels.  Tops: the share over all positions but
    those with ``ignore_label`` (0 where none is left), a scalar; optionally the share for each
    class (0 for a class that is absent).
    """

    bottoms = 2
    tops = (1, 2)
    differentiable = False

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.ignore = ignore_label(self.param.accuracy_param)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        p = self.param.accuracy_param
        scores, labels = bottom_shapes
        self.class_axis = self.axis(p.axis, len(scores))
        check_label_count(self, scores, labels, self.class_axis)
        self.classes = scores[self.class_axis]
        positions = math.prod(labels)
        if positions and p.top_k > self.classes:
            raise self.fail(
                f"top_k ({p.top_k}) must be less than or equal to the number of classes "
                f"({self.classes})",
                LayerError,
            )
        return [(), (self.classes,)][: self.num_tops]

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        return Limits(bottom_shapes[0][self.class_axis], self.ignore)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        scores, labels = bottoms
        index, counts = self.indices(labels, self.limits([scores.shape]))
        shape = list(scores.shape)
        shape[self.class_axis] = 1
        index = index.reshape(shape)
        better = (scores >= scores.gather(self.class_axis, index)).sum(self.class_axis) - 1
        right = (better < self.param.accuracy_param.top_k).flatten().to(scores.dtype)
        index = index.flatten()
        weight = torch.ones_like(right) if counts is None else counts.flatten().to(right.dtype)
        right.mul_(weight)
        tops = [right.sum().div_(weight.sum(dtype=torch.float64).clamp_(min=1))]
        if self.num_tops == 2:  # sums of ones and zeros are exact in any order
            present, hits = (
                weight.new_zeros(self.classes, dtype=torch.float64).scatter_add_(0, index, n)
                for n in (weight.double(), right.double())
            )
            tops.append((hits / present.clamp_(min=1)).to(scores.dtype))
        return tops
