"""HingeLoss: one-versus-all margins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from caffe.layer import Need, Shape, register
from caffe.layer._loss import LabelReader, check_first_axis

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("HingeLoss")
class HingeLoss(LabelReader):
    """``sum max(0, 1 + d x)^p / N``, d being -1 at an item's class and 1 elsewhere.

    Bottoms: scores (N, classes...), labels, of which the first N values count; no gradient for the
    labels.  ``hinge_loss_param.norm`` L1 (p = 1, default) or L2 (p = 2).

    As in BVLC the forward pass leaves the margins ``max(0, 1 + d x)`` in the scores' *diff*, and
    the backward pass turns what it finds there into the gradient.
    """

    bottoms = 2
    is_loss = True
    no_gradient = frozenset({1})

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.hinge_loss_param
        self.squared = p.norm == p.L2

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_first_axis(self, bottom_shapes)
        return [()]

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check_on_host(bottom)
        x = bottom[0].data_tensor().float()
        margins = self._flip(x, bottom[1].data_tensor()).add_(1).relu_()
        total = (margins * margins if self.squared else margins).sum()
        bottom[0].set_diff(margins)
        top[0].set_data(total / x.shape[0])

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        if not need.bottoms[0]:
            return
        diff = self._flip(bottom[0].diff_tensor().float(), bottom[1].data_tensor())
        weight = top[0].diff_tensor() / diff.shape[0]
        bottom[0].set_diff(diff.mul_(2 * weight) if self.squared else diff.sign_().mul_(weight))

    def _flip(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """A copy of ``x`` with the sign changed at each item's class."""
        flipped = x.clone(memory_format=torch.contiguous_format)
        rows = flipped.view(x.shape[0], -1)
        index = self.first_labels(x, labels)
        rows.scatter_(1, index, rows.gather(1, index).neg_())
        return flipped
