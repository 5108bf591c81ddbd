"""Marked objects of a batch, as SSD's label blob holds them, and their match with boxes.

The blob is 1 x 1 x G x 8, a row an object: item of the batch (-1 for a row without an object),
label, number of the instance, xmin, ymin, xmax, ymax, and whether it is difficult.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from caffe.layer.extensions import _ssd_boxes as ssd_boxes
from caffe.proto import caffe_pb2

UNMATCHED, IGNORED = -1, -2
_TOUCHES = 1e-6  # boxes that overlap less do not count as overlapping
_MATCH = caffe_pb2.MultiBoxLossParameter


class Truth(NamedTuple):
    """The objects of one item: G x 4, and G each."""

    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray

    def part(self, chosen: np.ndarray) -> Truth:
        return Truth(self.boxes[chosen], self.labels[chosen], self.difficult[chosen])


def truth_of(
    values: np.ndarray,
    batch: int,
    classes: int,
    background: int,
    fail: Callable[[str], Exception],
) -> dict[int, Truth]:
    """The objects of a label blob by item, difficult ones included; raises ``fail(message)`` for a
    label or an item that there is not.  ``batch`` 0 stands for any number of items."""
    rows = values.reshape(-1, 8)
    rows = rows[rows[:, 0] != -1]
    with np.errstate(invalid="ignore"):
        items, labels = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.int64)
    for what, numbers, raw, size in (
        ("item", items, rows[:, 0], batch),
        ("label", labels, rows[:, 1], classes),
    ):
        bad = ~np.isfinite(raw) | (numbers < 0) | ((numbers >= size) & (size > 0))
        if what == "label":
            bad |= numbers == background
        if bad.any():
            at = int(bad.argmax())
            allowed = f"0 to {size - 1}" if size else "0 or more"
            if what == "label":
                allowed += f", without the background label {background}"
            raise fail(
                f"object {at} of the label blob has the {what} {raw[at]:g}; expected {allowed}"
            )
    all_of_them = Truth(rows[:, 3:7], labels, rows[:, 7].astype(bool))
    return {int(item): all_of_them.part(items == item) for item in np.unique(items)}


def match(
    boxes: np.ndarray, truth: np.ndarray, kind: int, threshold: float, inside_only: bool
) -> tuple[np.ndarray, np.ndarray]:
    """For each of K boxes the object that it stands for, UNMATCHED or IGNORED, and its overlap
    with that, else its largest with any.

    First each object gets the box that overlaps it most, the largest overlaps first; then, for
    PER_PREDICTION, each box left gets the object that it overlaps most, if by ``threshold`` at
    least.  ``inside_only`` ignores boxes that reach out of the image.
    """
    found = np.full(len(boxes), UNMATCHED)
    if inside_only:
        found[((boxes < 0) | (boxes > 1)).any(1)] = IGNORED
    if not len(truth):
        return found, np.zeros(len(boxes), np.float32)
    table = ssd_boxes.overlaps(truth, boxes)  # G x K: reductions over the objects are fast
    table[(table <= _TOUCHES) | (found == IGNORED)] = 0
    best = table.max(0)
    left = table.copy()
    for _ in range(len(truth)):
        nearest = left.argmax(1)
        shares = left[np.arange(len(truth)), nearest]
        equal = np.flatnonzero(shares == shares.max())
        item = equal[nearest[equal].argmin()]  # of equal overlaps the first box, then object
        box = nearest[item]
        if not shares[item] > 0:
            break
        found[box], best[box] = item, shares[item]
        left[:, box] = 0
        left[item] = 0
    if kind == _MATCH.PER_PREDICTION:
        close = (found == UNMATCHED) & (best > 0) & (best >= np.float32(threshold))
        found[close] = table[:, close].argmax(0)
    return found, best


def negatives(
    loss: np.ndarray,
    found: np.ndarray,
    best: np.ndarray,
    boxes: np.ndarray | None,
    settings: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Mining: which boxes of one item count as objects, with what they are matched to (as
    ``found``, after HARD_EXAMPLE with fewer), and the indices of those that count as background.

    MAX_NEGATIVE: of the unmatched boxes with an overlap below ``neg_overlap`` those with the
    largest loss, ``neg_pos_ratio`` for each matched one.  HARD_EXAMPLE: the ``sample_size`` boxes
    with the largest loss, matched or not.  ``boxes`` are thinned out first by ``nms_param``, where
    they are given.
    """
    if settings.mining_type == _MATCH.MAX_NEGATIVE:
        eligible = np.flatnonzero((found == UNMATCHED) & (best < np.float32(settings.neg_overlap)))
        wanted = int(np.float32((found >= 0).sum()) * np.float32(settings.neg_pos_ratio))
    else:
        eligible, wanted = np.arange(len(found)), settings.sample_size
    if boxes is None:
        order = np.argsort(-loss[eligible], kind="stable")
    else:
        order = _thinned(boxes[eligible], loss[eligible], settings.nms_param)
    selected = np.zeros(len(found), bool)
    selected[eligible[order[:wanted]]] = True
    background = np.flatnonzero(selected & (found == UNMATCHED))
    if settings.mining_type == _MATCH.HARD_EXAMPLE:
        found = np.where((found >= 0) & ~selected, UNMATCHED, found)
    return found, background


def _thinned(boxes: np.ndarray, loss: np.ndarray, nms: Any) -> np.ndarray:
    """Indices by loss, without boxes that overlap one before, or have no area to speak of."""
    threshold, top_k, _ = ssd_boxes.suppress_settings(nms)
    order = ssd_boxes.best_first(loss, -np.inf, top_k)
    order = order[ssd_boxes.areas(boxes[order]) >= 1e-5]
    return order[ssd_boxes.suppress(boxes[order], threshold)]
