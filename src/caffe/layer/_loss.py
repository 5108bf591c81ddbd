"""What the losses share: labels, and the number that a sum of losses is divided by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from caffe.errors import DataError, LayerError

if TYPE_CHECKING:
    from caffe.layer import Layer, Shape


class LabelError(LayerError, DataError):
    """A label that names no class.  BVLC reads and writes outside its memory instead."""


# The types that read labels and know an ignore_label -> where it is set.
IGNORING = {
    "Accuracy": "accuracy_param",
    "InfogainLoss": "loss_param",
    "SoftmaxWithLoss": "loss_param",
}


def normalization(loss_param: Any, default: int) -> int:
    """The mode asked for: ``normalization``, else the legacy ``normalize``, else ``default``."""
    if loss_param.HasField("normalization"):
        return loss_param.normalization
    if loss_param.HasField("normalize"):
        return loss_param.VALID if loss_param.normalize else loss_param.BATCH_SIZE
    return default


def normalizer(loss_param: Any, mode: int, outer: int, inner: int, valid: int | None) -> float:
    """What the sum over ``outer`` x ``inner`` positions is divided by, at least 1.

    FULL: all positions; VALID: those not ignored (all where ``valid`` is None); BATCH_SIZE:
    ``outer``; NONE: 1.
    """
    if mode == loss_param.FULL or (mode == loss_param.VALID and valid is None):
        count = outer * inner
    elif mode == loss_param.VALID:
        count = valid
    else:
        count = outer if mode == loss_param.BATCH_SIZE else 1
    return float(max(count, 1))


def ignore_label(loss_param: Any) -> int | None:
    """The label of positions that do not count, None where all count."""
    return loss_param.ignore_label if loss_param.HasField("ignore_label") else None


def class_indices(
    layer: Layer, labels: torch.Tensor, classes: int, ignore: int | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Labels as int64 (0 where ignored), and a mask of those that count: None if all do.

    Labels are floats truncated toward zero.  Raises :class:`LabelError` where one is neither a
    class nor ``ignore``.
    """
    index = labels.to(torch.int64)
    if index.numel() == 0:
        return index, None
    counts = None if ignore is None else index != ignore
    if counts is not None:
        if bool(counts.all()):
            counts = None
        else:
            index = index.masked_fill(counts.logical_not(), 0)
    low, high = index.aminmax()  # one pass instead of a mask of its own for what is out of range
    if int(low) < 0 or int(high) >= classes:
        bad = (index < 0) | (index >= classes)
        raise _out_of_range(layer, labels, bad, classes, ignore)
    return index, counts


def first_labels(layer: Layer, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """One class index for each item of the scores, int64 (N, 1), for losses of N rows.

    Such a loss takes everything behind the first axis for classes, and of the labels the first N
    values, as BVLC does.  Raises :class:`LabelError` where one is no class.
    """
    n = scores.shape[0]
    classes = math.prod(scores.shape[1:])
    return class_indices(layer, labels.reshape(-1)[:n], classes, None)[0].view(n, 1)


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


def _out_of_range(
    layer: Layer, labels: torch.Tensor, bad: torch.Tensor, classes: int, ignore: int | None
) -> LayerError:
    where = np.unravel_index(int(bad.flatten().nonzero()[0]), tuple(labels.shape))
    value = float(labels[where])
    n, *rest = (int(i) for i in where)
    if len(rest) == 3:
        rest = rest[1:]  # N x 1 x H x W
    names = {0: "", 1: ", w", 2: ", h, w"}.get(len(rest), ", ...")
    position = f"(n{names}) = ({', '.join(map(str, [n, *rest]))})"
    also = "" if ignore is None else f" or the ignore_label {ignore}"
    remedy = "correct the labels or num_output"
    section = IGNORING.get(layer.type)
    if section:
        number = int(value) if math.isfinite(value) else 255
        remedy = (
            f"set {section} {{ ignore_label: {number} }} if this value marks what must not count, "
            f"else {remedy}"
        )
    return layer.fail(
        f"label {value:g} at {position} of bottom '{layer.param.bottom[1]}' is out of range: "
        f"with {classes} classes a label is 0 to {classes - 1}{also} "
        f"({int(bad.sum())} of {labels.numel()} labels are not); {remedy}",
        LabelError,
    )
