"""CTCLoss, CtcLoss: labels without places in a sequence (Graves et al. 2006)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe.errors import DataError, LayerError
from caffe.layer import Layer, Shape, Tensors, register


class _ConnectionistLoss(Layer):
    """The mean over N sequences of ``-log p(labels)``, from scores T x N x C before the softmax.

    The gradient is that of the scores.  Runs on the host.
    """

    is_loss = True
    graphable = False
    blank: int

    def sequences(self, bottoms: Tensors) -> tuple[list[int], list[torch.Tensor]]:
        """How long each sequence is, and its labels."""
        raise NotImplementedError

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        scores = bottoms[0].reshape(self.steps, self.count, self.classes)
        lengths, labels = self.sequences(bottoms)
        for n, (length, own) in enumerate(zip(lengths, labels)):
            wrong = own[(own < 0) | (own >= self.classes) | (own == self.blank)]
            if len(wrong):
                raise self.fail(
                    f"sequence {n} has the label {int(wrong[0])}: expected 0 to "
                    f"{self.classes - 1} without the blank {self.blank}",
                    DataError,
                )
            repeats = int((own[1:] == own[:-1]).sum())
            if length and len(own) + repeats > length:
                raise self.fail(
                    f"sequence {n} has {length} steps, which are too few for its {len(own)} labels",
                    DataError,
                )
        used = [n for n, length in enumerate(lengths) if length]
        if not used:
            return [scores.sum() * 0]
        losses = F.ctc_loss(
            torch.log_softmax(scores[:, used].float().cpu(), 2),
            torch.cat([labels[n] for n in used]).cpu(),
            torch.tensor([lengths[n] for n in used]),
            torch.tensor([len(labels[n]) for n in used]),
            blank=self.blank,
            reduction="sum",
        )
        return [losses.to(scores.device) / self.count]

    def _measure(self, shape: Shape) -> None:
        if len(shape) < 3 or math.prod(shape[3:]) != 1:
            raise self.fail(f"the scores must be T x N x C, got {shape}")
        self.steps, self.count, self.classes = shape[:3]


@register("CTCLoss")
class CTCLoss(_ConnectionistLoss):
    """The mean over N sequences of ``-log p(labels)``, from scores T x N x C before the softmax.

    Further bottoms, T x N both: 0 in the first step of a sequence and behind its end, 1 in
    between, as of an LSTM; labels, a negative number behind their end.  A sequence without labels
    counts nothing.  ``ctc_loss_param``: ``blank_index``, by default the last class.  Its other
    fields (``output_delay``, ``preprocess_collapse_repeated``, ``ctc_merge_repeated: false``) are
    refused.  (Of the forks for speech and text.)
    """

    bottoms = 3
    no_gradient = frozenset({1, 2})

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.ctc_loss_param
        if p.output_delay or p.preprocess_collapse_repeated or not p.ctc_merge_repeated:
            raise self.fail(
                "output_delay, preprocess_collapse_repeated and ctc_merge_repeated: false are not "
                "implemented",
                LayerError,
            )

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        scores, going, labels = bottom_shapes
        self._measure(scores)
        for what, shape in (("marks of sequences", going), ("labels", labels)):
            if tuple(shape[:2]) != (self.steps, self.count) or math.prod(shape[2:]) != 1:
                raise self.fail(f"the {what} must be {self.steps} x {self.count}, got {shape}")
        blank = self.param.ctc_loss_param.blank_index
        self.blank = self.classes - 1 if blank < 0 else blank
        if self.blank >= self.classes:
            raise self.fail(f"blank_index {blank} is none of {self.classes} classes", LayerError)
        return [()]

    def sequences(self, bottoms: Tensors) -> tuple[list[int], list[torch.Tensor]]:
        going, labels = (b.reshape(self.steps, self.count).cpu() for b in bottoms[1:])
        lengths, found = [], []
        for n in range(self.count):
            ends = (going[1:, n] + 0.5).long().eq(0).nonzero()
            length = int(ends[0]) + 1 if len(ends) else self.steps
            behind = labels[:, n].lt(0).nonzero()
            own = labels[: int(behind[0]) if len(behind) else self.steps, n]
            lengths.append(length if len(own) else 0)
            found.append((own + 0.5).long())
        return lengths, found


@register("CtcLoss")
class CtcLoss(_ConnectionistLoss):
    """The mean over N sequences of ``-log p(labels)``, from scores T x N x C before the softmax.

    A second bottom has the labels, N x L, of which those that are ``blank_label`` (0) fill up.
    ``ctc_loss_param``: ``alphabet_size`` C and ``time_step`` T, which the scores have too.  (Of
    warpctc-caffe.)
    """

    bottoms = 2
    no_gradient = frozenset({1})

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        scores, labels = bottom_shapes
        self._measure(scores)
        p = self.param.ctc_loss_param
        self.blank = p.blank_label
        for name, size in (("alphabet_size", self.classes), ("time_step", self.steps)):
            if p.HasField(name) and getattr(p, name) != size:
                raise self.fail(f"{name} is {getattr(p, name)}, the scores are {scores}")
        if not labels or labels[0] != self.count:
            raise self.fail(f"needs labels for {self.count} sequences, got {labels}")
        if self.blank >= self.classes:
            raise self.fail(f"blank_label {self.blank} is none of {self.classes} classes")
        return [()]

    def sequences(self, bottoms: Tensors) -> tuple[list[int], list[torch.Tensor]]:
        rows = bottoms[1].reshape(self.count, -1).long().cpu()
        return [self.steps] * self.count, [row[row != self.blank] for row in rows]
