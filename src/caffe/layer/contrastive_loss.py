"""ContrastiveLoss: pairs that are alike drawn together, others pushed apart (Siamese nets)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._loss import check_first_axis

EPSILON = 1e-4  # added to the distance that the gradient divides by


@register("ContrastiveLoss")
class ContrastiveLoss(Layer):
    """``sum [y d^2 + (1 - y) max(margin - d, 0)^2] / (2 N)``, d the distance of a pair.

    Bottoms: features a and b, (N, C) or (N, C, 1, 1); similarity y, N values, 0 after truncation
    for unlike pairs.  a and b can receive a gradient, y cannot.  ``contrastive_loss_param``:
    ``margin`` 1; ``legacy_version`` takes ``max(margin - d^2, 0)`` for unlike pairs
    (Hadsell et al. 2006 have the squared form).
    """

    bottoms = 3
    is_loss = True
    no_gradient = frozenset({2})
    leaves_out_no_gradient = True  # BVLC looks at its first two bottoms alone

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.contrastive_loss_param
        self.margin, self.legacy = p.margin, p.legacy_version
        self.difference: torch.Tensor | None = None  # a - b of the last forward pass

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_first_axis(self, bottom_shapes)
        a, b, y = bottom_shapes
        rows = [len(s) > 1 and math.prod(s[2:]) == 1 for s in (a, b)]
        if not all(rows) or a[1] != b[1]:
            raise self.fail(
                f"expected two bottoms of one vector an item, (N, C) or (N, C, 1, 1), of equal "
                f"lengths C; received {a} and {b}"
            )
        if math.prod(y) != a[0] or y[0] != a[0]:
            raise self.fail(f"expected one similarity a pair, shape ({a[0]}), received {y}")
        return [()]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        a, b, y = bottoms
        self.difference = a.reshape(a.shape[:2]) - b.reshape(a.shape[:2])
        alike, squares = _pairs(y, self.difference)
        if self.legacy:
            unlike = torch.relu(self.margin - squares)
        else:
            unlike = torch.relu(self.margin - squares.sqrt()).square()
        return [torch.where(alike, squares, unlike).sum().div_(2 * a.shape[0])]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        a, b, y = bottoms
        difference = self.difference
        if difference is None or difference.shape != a.shape[:2]:
            difference = a.new_zeros(a.shape[:2])  # no forward yet: all zero, as in Caffe
        alike, squares = _pairs(y, difference)
        distance = squares.sqrt()
        gap = self.margin - (squares if self.legacy else distance)
        unlike = torch.full_like(gap, -1.0) if self.legacy else gap.neg() / (distance + EPSILON)
        factor = torch.where(alike, 1.0, torch.where(gap > 0, unlike, 0.0))
        diff = difference * (factor * (top_diffs[0] / a.shape[0]))
        return [
            diff.reshape(a.shape) if need.bottoms[0] else None,
            diff.neg().reshape(b.shape) if need.bottoms[1] else None,
            None,
        ], []


def _pairs(y: torch.Tensor, difference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Which pairs are alike, and the squared distances; (N, 1) both."""
    return y.reshape(-1, 1).trunc() != 0, difference.square().sum(1, keepdim=True)
