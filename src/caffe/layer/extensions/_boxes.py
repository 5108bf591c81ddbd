"""Boxes of region proposal networks: anchors, deltas, clipping, and non-maximum suppression.

A box is ``x1, y1, x2, y2`` in pixels of the image, both corners inside it: a width is
``x2 - x1 + 1``.  Arrays of boxes are float32, K x 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

_BLOCK = 128  # boxes whose overlaps are computed together


class Selection(NamedTuple):
    """How proposals are chosen: boxes smaller than ``min_size`` drop out, of the others the best
    ``before`` are looked at and at most ``after`` kept (0: all), none of which overlaps a better
    one by more than ``overlap`` (intersection over union)."""

    min_size: float
    before: int
    after: int
    overlap: float


def anchors(
    base: int,
    ratios: Sequence[float],
    scales: Sequence[float],
    rounded: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """The anchors of the pixel 0, 0, ratios outside and scales inside: A x 4.

    The square of ``base`` pixels is given each ratio (height / width) at about the same area, in
    whole pixels as ``rounded`` rounds them, and then each scale.
    """
    width = rounded(np.sqrt(base * base / np.asarray(ratios, np.float64)))
    height = rounded(width * np.asarray(ratios, np.float64))
    sizes = np.stack([width, height], 1)[:, None] * np.asarray(scales, np.float64)[:, None]
    half = (sizes.reshape(-1, 2) - 1) / 2
    centre = (base - 1) / 2
    return np.concatenate([centre - half, centre + half], 1).astype(np.float32)


def place(anchor: np.ndarray, size: Sequence[int], stride: int) -> np.ndarray:
    """The anchors at every pixel of a map of (height, width): by rows, columns, anchors."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32) * np.float32(stride)
    shift = np.stack([x, y, x, y], 2).reshape(-1, 1, 4)
    return (shift + anchor).reshape(-1, 4)


def decode(boxes: np.ndarray, deltas: np.ndarray) -> np.ndarray:
    """Boxes moved and stretched by ``deltas``, K x 4: of the centre, in widths and heights, and of
    the logarithms of width and height.  The reverse of :func:`encode`, but for the pixel by which
    ``x2`` and ``y2`` lie too far out: R-CNN's own formula, with which its nets were trained."""
    size = boxes[:, 2:] - boxes[:, :2] + 1
    centre = boxes[:, :2] + size * np.float32(0.5)
    centre = centre + deltas[:, :2] * size
    with np.errstate(over="ignore"):
        half = np.exp(deltas[:, 2:]) * size * np.float32(0.5)
    return np.concatenate([centre - half, centre + half], 1)


def encode(boxes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The deltas that turn each box into its target."""
    size, wanted = (b[:, 2:] - b[:, :2] + 1 for b in (boxes, targets))
    centre, aim = (b[:, :2] + s * np.float32(0.5) for b, s in ((boxes, size), (targets, wanted)))
    return np.concatenate([(aim - centre) / size, np.log(wanted / size)], 1)


def clip(boxes: np.ndarray, height: float, width: float) -> np.ndarray:
    """Boxes cut to the image."""
    most = np.array([width - 1, height - 1] * 2, np.float32)
    return np.maximum(np.minimum(boxes, most), np.float32(0))


def large_enough(boxes: np.ndarray, height: float, width: float) -> np.ndarray:
    """Which boxes are at least so high and wide."""
    size = boxes[:, 2:] - boxes[:, :2] + 1
    return (size[:, 0] >= np.float32(width)) & (size[:, 1] >= np.float32(height))


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of each of K boxes with each of M: K x M."""
    a, b = first[:, None], second[None]
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0]) + 1
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1]) + 1
    common = np.maximum(width, 0, out=width) * np.maximum(height, 0, out=height)
    areas = [(c[:, 2] - c[:, 0] + 1) * (c[:, 3] - c[:, 1] + 1) for c in (first, second)]
    return common / (areas[0][:, None] + areas[1] - common)


def suppress(boxes: np.ndarray, overlap: float, most: int = 0) -> np.ndarray:
    """Indices of the boxes, best first, that overlap no box kept before them by more than
    ``overlap``; at most ``most`` of them, 0 for all."""
    kept: list[np.ndarray] = []
    count = 0
    left = np.arange(len(boxes))
    while len(left) and (not most or count < most):
        block, left = left[:_BLOCK], left[_BLOCK:]
        near = overlaps(boxes[block], boxes[block]) > overlap
        alive = np.ones(len(block), bool)
        for i in range(len(block)):
            if alive[i]:
                alive[i + 1 :] &= ~near[i, i + 1 :]
        block = block[alive]
        if most:
            block = block[: most - count]
        kept.append(block)
        count += len(block)
        if len(left) and (not most or count < most):
            left = left[~(overlaps(boxes[block], boxes[left]) > overlap).any(0)]
    return np.concatenate(kept) if kept else np.arange(0)


def best_first(scores: np.ndarray, most: int) -> np.ndarray:
    """Indices of the ``most`` highest scores (0: all), among equal ones the first first."""
    if 0 < most < len(scores):  # those that may count, before they are sorted
        least = np.partition(scores, len(scores) - most)[len(scores) - most]
        candidates = np.flatnonzero(scores >= least)
    else:
        candidates = np.arange(len(scores))
    order = candidates[np.argsort(-scores[candidates], kind="stable")]
    return order[:most] if most else order
