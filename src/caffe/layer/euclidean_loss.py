"""EuclideanLoss: half the mean squared distance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._loss import check_first_axis


@register("EuclideanLoss")
class EuclideanLoss(Layer):
    """``sum (a - b)^2 / (2 N)``, N the first axis.  Both bottoms can receive a gradient, from the
    difference that the last forward pass saw."""

    bottoms = 2
    is_loss = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.difference: torch.Tensor | None = None

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_first_axis(self, bottom_shapes)
        a, b = bottom_shapes
        if math.prod(a[1:]) != math.prod(b[1:]):
            raise self.fail(f"inputs must have the same dimension: {a} and {b}")
        return [()]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        a, b = bottoms
        self.difference = a - b.reshape(a.shape)
        return [(self.difference * self.difference).sum().div_(2 * a.shape[0])]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        difference = self.difference
        if difference is None or difference.shape != bottoms[0].shape:
            difference = torch.zeros_like(bottoms[0])  # no forward yet: all zero, as in Caffe
        scaled = difference * (top_diffs[0] / bottoms[0].shape[0])
        second = scaled.neg().reshape(bottoms[1].shape) if need.bottoms[1] else None
        return [scaled if need.bottoms[0] else None, second], []
