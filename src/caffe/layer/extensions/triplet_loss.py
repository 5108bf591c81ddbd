"""TripletLoss: an item nearer to one of its kind than to another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.layer import Layer, Shape, Tensors, register


@register("TripletLoss")
class TripletLoss(Layer):
    """``sum max(margin + |a - p|^2 - |a - n|^2, 0) / (2 N)``.

    Bottoms: N anchors a, others p of their kind, and others n of another kind, each N x C or N x C
    x 1 x 1; all three can receive a gradient.  A fourth bottom, which some forks want, is not read.
    ``triplet_loss_param``: ``margin`` 1.
    """

    bottoms = (3, 4)
    is_loss = True
    no_gradient = frozenset({3})

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        a, *others = bottom_shapes[:3]
        fits = len(a) > 1 and math.prod(a[2:]) == 1
        if not fits or any(shape != a for shape in others):
            raise self.fail(
                "expected three bottoms of one vector an item, (N, C) or (N, C, 1, 1), of one "
                f"shape; received {', '.join(map(str, bottom_shapes[:3]))}"
            )
        return [()]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        a, p, n = (x.reshape(len(x), -1) for x in bottoms[:3])
        near, far = ((a - x).square().sum(1) for x in (p, n))
        margin = self.param.triplet_loss_param.margin
        return [torch.relu(margin + near - far).sum() / (2 * len(a))]
