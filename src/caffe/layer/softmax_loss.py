"""SoftmaxWithLoss: multinomial logistic loss of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe import kernels
from caffe.layer import MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._indices import Limits
from caffe.layer._loss import (
    LabelReader,
    check_first_axis,
    check_label_count,
    ignore_label,
    normalization,
    normalizer,
)
from caffe.layer.softmax import softmax
from caffe.native import softmax_loss

SMALLEST = torch.finfo(torch.float32).tiny  # FLT_MIN: the loss of one position ends at 87.34


@register("SoftmaxWithLoss")
class SoftmaxWithLoss(LabelReader):
    """``-sum log max(p_label, 1.2e-38) / Z`` over the positions that are not ignored.

    Bottoms: scores (outer axes..., classes, inner axes...), labels of outer x inner values; no
    gradient for the labels.  Tops: the loss, a scalar; optionally the probabilities, through which
    no gradient flows (``loss_weight`` then needs two values).

    ``softmax_param.axis`` 1; ``loss_param``: ``ignore_label``; ``normalization`` of Z: FULL, VALID
    (default), BATCH_SIZE, NONE; the legacy ``normalize``.

    SegNet's extension: with ``weight_by_label_freqs`` each position counts as much as the
    ``class_weighting`` of its label says, one number a class; without numbers, one part in the
    positions of the batch that have its label.  Z stays as it is.
    """

    bottoms = 2
    tops = (1, 2)
    is_loss = True
    no_gradient = frozenset({1})

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.loss_param
        self.ignore = ignore_label(p)
        self.mode = normalization(p, p.VALID)
        self.prob: torch.Tensor | None = None
        self.losses: torch.Tensor  # of each position, negative, of the last forward pass
        self.weights: torch.Tensor | None = None
        if p.weight_by_label_freqs and p.class_weighting:
            self.weights = torch.tensor(list(p.class_weighting))

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_first_axis(self, bottom_shapes)
        scores, labels = bottom_shapes
        self.class_axis = self.axis(self.param.softmax_param.axis, len(scores))
        check_label_count(self, scores, labels, self.class_axis)
        weights = self.weights
        if weights is not None and len(weights) != scores[self.class_axis]:
            raise self.fail(
                f"needs a class_weighting for each of {scores[self.class_axis]} classes, got "
                f"{len(weights)}"
            )
        self.outer = math.prod(scores[: self.class_axis])
        self.classes = scores[self.class_axis]
        self.inner = math.prod(scores[self.class_axis + 1 :])
        self.inner_axes = len(scores) - self.class_axis
        return [(), scores][: self.num_tops]

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        return Limits(bottom_shapes[0][self.class_axis], self.ignore)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        scores, labels = bottoms
        if self.is_plain(scores, labels):
            done = softmax_loss.forward(
                scores, labels, self.classes, self.ignore, self.known_divisor()
            )
            if done is not None:
                loss, self.prob, logs = done
                self.losses = logs.view(self.shape_of_losses(scores))
                return [loss, self.prob][: self.num_tops]
        index, counts = self._labels(scores, labels)
        self.prob = None  # so that new ones may take its memory
        self.prob = softmax(scores, self.class_axis)
        losses = self.prob.gather(self.class_axis, index).clamp_(min=SMALLEST).log_()
        if self.param.loss_param.weight_by_label_freqs:
            losses.mul_(self._position_weights(index, counts))
        if counts is not None:
            losses = torch.where(counts, losses, 0.0)
        self.losses = losses
        loss = losses.sum().div_(-self._divisor(counts))
        return [loss, self.prob][: self.num_tops]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None, None], []
        scores, labels = bottoms
        # The second top is the probabilities' own memory in Caffe: a user's edit counts.
        prob = tops[1] if self.num_tops > 1 else self.prob
        if prob is None or prob.shape != scores.shape:
            prob = torch.zeros_like(scores)  # no forward yet: all zero, as in Caffe
        if self.is_plain(prob, labels):
            diff = softmax_loss.backward(
                top_diffs[0], prob, labels, self.classes, self.ignore, self.known_divisor()
            )
            if diff is not None:
                return [diff, None], []
        index, counts = self._labels(scores, labels)
        scale = top_diffs[0] / self._divisor(counts)
        if self.param.loss_param.weight_by_label_freqs:
            scale = scale * self._position_weights(index, counts)
        diff = prob * scale if counts is None else torch.where(counts, prob, 0.0).mul_(scale)
        hit = -scale.expand(index.shape)
        if counts is not None:
            hit = torch.where(counts, hit, 0.0)
        return [diff.scatter_add_(self.class_axis, index, hit), None], []

    def is_plain(self, values: torch.Tensor, labels: torch.Tensor) -> bool:
        """Whether these scores or probabilities are for the native kernels."""
        if self.inner != 1 or self.param.loss_param.weight_by_label_freqs:
            return False
        return kernels.enabled() and softmax_loss.applies(values, labels, self.classes)

    def shape_of_losses(self, scores: torch.Tensor) -> Shape:
        """That of :attr:`losses` where the native kernels have computed them."""
        return (*scores.shape[: self.class_axis], *([1] * self.inner_axes))

    def known_divisor(self) -> float:
        """The divisor, 0 where it is how many labels are not ignored."""
        p = self.param.loss_param
        return 0.0 if self.mode == p.VALID else float(self._divisor(None))

    def _labels(
        self, scores: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Indices and mask, with the scores' axes and 1 on the class axis."""
        index, counts = self.indices(labels, self.limits([scores.shape]))
        shape = list(scores.shape)
        shape[self.class_axis] = 1
        return index.reshape(shape), None if counts is None else counts.reshape(shape)

    def _position_weights(self, index: torch.Tensor, counts: torch.Tensor | None) -> torch.Tensor:
        """What each position counts, of the shape of ``index``."""
        if self.weights is not None:
            if self.weights.device != index.device:
                self.weights = self.weights.to(index.device)
            return self.weights[index]
        ones = torch.ones(index.shape, device=index.device) if counts is None else counts.float()
        classes = index.new_zeros(self.classes, dtype=torch.float32)
        return (
            classes.scatter_add_(0, index.flatten(), ones.flatten()).clamp_(min=1)[index].pow_(-1)
        )

    def _divisor(self, counts: torch.Tensor | None) -> float | torch.Tensor:
        return normalizer(self.param.loss_param, self.mode, self.outer, self.inner, counts)
