"""Boxes of SSD: from predicted offsets and back, overlaps, and non-maximum suppression.

A box is ``xmin, ymin, xmax, ymax`` in shares of the image's width and height; arrays of boxes are
float32, (..., 4).  The priors are boxes too, each with four variances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from caffe.proto import caffe_pb2

_CODE = caffe_pb2.PriorBoxParameter
_MATRIX = 1024  # so many boxes have all their overlaps computed at once


class Priors(NamedTuple):
    """Prior boxes and their variances, both K x 4."""

    boxes: np.ndarray
    variances: np.ndarray


class Code(NamedTuple):
    """How four numbers stand for a box near its prior.

    kind: CORNER, the offsets of the corners; CORNER_SIZE, the same in widths and heights of the
        prior; CENTER_SIZE, the offset of the centre in widths and heights and the logarithms of the
        width and height, divided by the prior's.
    in_target: whether the numbers are those, or those divided by the variances.
    one: what a width or height is more than the difference of its corners; 1 in whole pixels.
    """

    kind: int
    in_target: bool
    one: int = 0


def priors_of(values: np.ndarray) -> Priors:
    """What the top of a PriorBox, 1 x 2 x (4 K), holds; without variances they are 1."""
    if values.shape[1] == 1:
        boxes = values.reshape(-1, 4)
        return Priors(boxes, np.ones_like(boxes))
    return Priors(*values.reshape(2, -1, 4))


def decode(priors: Priors, numbers: np.ndarray, code: Code) -> np.ndarray:
    """The boxes that ``numbers``, (..., K, 4), stand for."""
    boxes = priors.boxes
    if not code.in_target:
        numbers = numbers * priors.variances
    if code.kind == _CODE.CORNER:
        return boxes + numbers
    low, high = boxes[:, :2], boxes[:, 2:]
    size = high - low + np.float32(code.one)
    if code.kind == _CODE.CORNER_SIZE:
        return boxes + numbers * np.concatenate([size, size], 1)
    middle = low + size / np.float32(2) if code.one else (low + high) / np.float32(2)
    centre = numbers[..., :2] * size + middle
    with np.errstate(over="ignore"):
        half = np.exp(numbers[..., 2:]) * size / np.float32(2)
    with np.errstate(invalid="ignore"):
        return np.concatenate([centre - half, centre + half], -1)


def encode(priors: Priors, targets: np.ndarray, code: Code) -> np.ndarray:
    """The numbers that stand for the targets, one for each prior, K x 4."""
    boxes = priors.boxes
    low, high = boxes[:, :2], boxes[:, 2:]
    size = high - low
    if code.kind == _CODE.CORNER:
        numbers = targets - boxes
    elif code.kind == _CODE.CORNER_SIZE:
        numbers = (targets - boxes) / np.concatenate([size, size], 1)
    else:
        wanted = targets[:, 2:] - targets[:, :2]
        centre = (targets[:, :2] + targets[:, 2:]) / np.float32(2)
        with np.errstate(divide="ignore"):
            logarithms = np.log(wanted / size)
        numbers = np.concatenate([(centre - (low + high) / np.float32(2)) / size, logarithms], 1)
    return numbers if code.in_target else numbers / priors.variances


def areas(boxes: np.ndarray) -> np.ndarray:
    """Areas, 0 for a box that is inside out."""
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where((width >= 0) & (height >= 0), width * height, np.float32(0))


def overlaps(first: np.ndarray, second: np.ndarray, one: float = 0) -> np.ndarray:
    """Intersection over union of each of K boxes with each of M: K x M.

    ``one`` is added to widths and heights: 1 where boxes are in whole pixels.
    """
    left, top, right, bottom = np.ascontiguousarray(first.T)[..., None]
    others = np.ascontiguousarray(second.T)  # whole columns: many times faster than strided ones
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        width = np.minimum(right, others[2])
        width -= np.maximum(left, others[0])
        height = np.minimum(bottom, others[3])
        height -= np.maximum(top, others[1])
        if one:
            apart = (width < 0) | (height < 0)
            width += np.float32(one)
            height += np.float32(one)
            width[apart] = 0
        common = np.maximum(width, 0, out=width)
        common *= np.maximum(height, 0, out=height)
        share = _sizes(first, one)[:, None] + _sizes(second, one)
        share -= common
        share = np.divide(common, share, out=share)
    share[common == 0] = 0  # also of boxes without an area
    return share


def _sizes(boxes: np.ndarray, one: float) -> np.ndarray:
    if not one:
        return areas(boxes)
    size = boxes[:, 2:] - boxes[:, :2]
    grown = size + np.float32(one)
    return np.where((size >= 0).all(1), grown[:, 0] * grown[:, 1], np.float32(0))


def best_first(scores: np.ndarray, above: float, most: int) -> np.ndarray:
    """Indices of the scores above a limit, highest first, of equal ones the first first; at most
    ``most`` of them, with -1 all."""
    found = np.flatnonzero(scores > np.float32(above))
    if 0 <= most < len(found):  # those that may count, before they are sorted
        values = scores[found]
        least = np.partition(values, len(values) - most)[len(values) - most] if most else np.inf
        found = found[values >= least]
    order = found[np.argsort(-scores[found], kind="stable")]
    return order[:most] if most >= 0 else order


def suppress(boxes: np.ndarray, threshold: float, eta: float = 1.0, one: float = 0) -> list[int]:
    """Indices of the boxes, best first, that overlap none kept before by more than the threshold.

    With ``eta`` below 1 a threshold above 0.5 is multiplied by it for each box that is kept;
    ``one`` as of :func:`overlaps`.
    """
    if eta == 1 and len(boxes) <= _MATRIX:
        return _suppress_by_bits(overlaps(boxes, boxes, one) > np.float32(threshold))
    count = len(boxes)
    worst = np.zeros(count, np.float32)  # the largest overlap with a box that is kept
    limit = np.float32(threshold)
    kept: list[int] = []
    at = 0
    while at < count:
        fits = worst[at:] <= limit
        step = int(fits.argmax())
        if not fits[step]:
            break
        at += step
        kept.append(at)
        np.fmax(worst, overlaps(boxes[at : at + 1], boxes, one)[0], out=worst)
        if eta < 1 and limit > 0.5:
            limit = np.float32(limit * np.float32(eta))
        at += 1
    return kept


def _suppress_by_bits(near: np.ndarray) -> list[int]:
    """The same from a table of which boxes overlap too much; a row is one number of many bits."""
    packed = np.packbits(near, 1, bitorder="little")
    gone = 0
    kept = []
    for i, row in enumerate(packed):
        if not gone >> i & 1:
            kept.append(i)
            gone |= int.from_bytes(row.tobytes(), "little")
    return kept


def suppress_settings(param: Any) -> tuple[float, int, float]:
    """Threshold, top_k (-1: all) and eta of an ``nms_param``."""
    return param.nms_threshold, param.top_k if param.HasField("top_k") else -1, param.eta


def check_code(priors: Priors, code: Code) -> str:
    """What is wrong with priors that the code divides by, or nothing."""
    if code.kind == _CODE.CORNER:
        return ""
    size = priors.boxes[:, 2:] - priors.boxes[:, :2] + np.float32(code.one)
    bad = np.flatnonzero(~(size > 0).all(1))
    if not len(bad):
        return ""
    box: Sequence[float] = priors.boxes[bad[0]].tolist()
    return f"prior {bad[0]} has no width or height: {', '.join(f'{v:g}' for v in box)}"
