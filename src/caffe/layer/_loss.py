"""What the losses share: labels, and the number that a sum of losses is divided by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from caffe.errors import DataError, LayerError
from caffe.layer._indices import IndexReader, Limits, Wrong

if TYPE_CHECKING:
    from caffe.layer import Layer, Shape


# The types that read labels and know an ignore_label -> where it is set.
IGNORING = {
    "Accuracy": "accuracy_param",
    "InfogainLoss": "loss_param",
    "SoftmaxWithLoss": "loss_param",
}


class LabelError(LayerError, DataError):
    """A label that names no class.  BVLC reads and writes outside its memory instead."""


class LabelReader(IndexReader):
    """Base of the layers whose second bottom holds labels: one class a value, or what is ignored.

    Losses of N rows take everything behind the first axis for classes, and of the labels the first
    N values, as BVLC does; the others override :meth:`limits`.
    """

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        scores = bottom_shapes[0]
        return Limits(math.prod(scores[1:]), read=scores[0])

    def first_labels(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """One class index for each item of the scores, int64 (N, 1), for losses of N rows."""
        limits = LabelReader.limits(self, [scores.shape])
        return self.indices(labels, limits)[0].view(-1, 1)

    def wrong_index(self, wrong: Wrong, limits: Limits) -> LabelError:
        n, *rest = wrong.position
        if len(rest) == 3:
            rest = rest[1:]  # N x 1 x H x W
        names = {0: "", 1: ", w", 2: ", h, w"}.get(len(rest), ", ...")
        position = f"(n{names}) = ({', '.join(map(str, [n, *rest]))})"
        also = "" if limits.ignored is None else f" or the ignore_label {limits.ignored}"
        remedy = "correct the labels or num_output"
        section = IGNORING.get(self.type)
        if section:
            number = int(wrong.value) if math.isfinite(wrong.value) else 255
            remedy = (
                f"set {section} {{ ignore_label: {number} }} if this value marks what must not "
                f"count, else {remedy}"
            )
        counted = ""
        if wrong.wrong_ones is not None:
            counted = f" ({wrong.wrong_ones} of {math.prod(wrong.shape)} labels are not)"
        return self.fail(
            f"label {wrong.value:g} at {position} of bottom '{self.param.bottom[1]}' is out of "
            f"range: with {limits.size} classes a label is 0 to {limits.size - 1}{also}{counted}; "
            f"{remedy}",
            LabelError,
        )


def normalization(loss_param: Any, default: int) -> int:
    """The mode asked for: ``normalization``, else the legacy ``normalize``, else ``default``."""
    if loss_param.HasField("normalization"):
        return loss_param.normalization
    if loss_param.HasField("normalize"):
        return loss_param.VALID if loss_param.normalize else loss_param.BATCH_SIZE
    return default


def normalizer(
    loss_param: Any, mode: int, outer: int, inner: int, counts: torch.Tensor | None
) -> float | torch.Tensor:
    """What the sum over ``outer`` x ``inner`` positions is divided by, at least 1.

    FULL: all positions; VALID: those that ``counts`` marks (all where it is None), on a GPU a
    scalar that stays there; BATCH_SIZE: ``outer``; NONE: 1; PRE_FIXED: what is given.
    """
    if mode == loss_param.FULL or (mode == loss_param.VALID and counts is None):
        count = outer * inner
    elif mode == loss_param.VALID and counts is not None:
        if counts.device.type != "cpu":
            return counts.sum().clamp_(min=1)
        count = int(counts.sum())
    elif mode == loss_param.PRE_FIXED:
        count = loss_param.pre_fixed_normalizer
    else:
        count = outer if mode == loss_param.BATCH_SIZE else 1
    return float(max(count, 1))


def ignore_label(loss_param: Any) -> int | None:
    """The label of positions that do not count, None where all count."""
    return loss_param.ignore_label if loss_param.HasField("ignore_label") else None


def check_first_axis(layer: Layer, bottom_shapes: Sequence[Shape]) -> None:
    """The two bottoms of a loss have as many items."""
    a, b = bottom_shapes[:2]
    if not a or not b or a[0] != b[0]:
        raise layer.fail(f"the data {a} and label {b} should have the same first dimension")


def check_label_count(layer: Layer, scores: Shape, labels: Shape, axis: int) -> None:
    """One label for each position of the scores."""
    positions = math.prod(scores[:axis]) * math.prod(scores[axis + 1 :])
    if math.prod(labels) != positions:
        expected = (*scores[:axis], *scores[axis + 1 :])
        raise layer.fail(
            f"number of labels must match number of predictions: the scores {scores} have "
            f"{positions} positions apart from axis {axis}, the labels {labels} are "
            f"{math.prod(labels)}; expected a shape like {expected}, with integer values"
        )
