"""Measures of a segmentation, from one integer histogram.

With h[i, j] the number of pixels of class i that were labelled j:

    overall accuracy = Σ h[i, i] / Σ h
    mean accuracy    = mean over i of h[i, i] / Σⱼ h[i, j]
    mean IU          = mean over i of h[i, i] / (Σⱼ h[i, j] + Σⱼ h[j, i] − h[i, i])
    fwavacc          = Σ over i of (Σⱼ h[i, j] / Σ h) · IU(i)

The means leave out what is 0/0: a class that is absent from the truth for the accuracy, from truth
and prediction alike for IU.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

__all__ = ["Metrics", "Score", "fast_hist", "metrics"]

#: Fractions 0–1. accuracy and iu hold one value per class, NaN where a class is left out of the
#: mean.
Metrics = namedtuple("Metrics", "overall_accuracy mean_accuracy mean_iu fwavacc accuracy iu")

#: loss: mean per image, NaN for a net without one; hist: int64, rows truth, columns prediction.
Score = namedtuple("Score", "loss hist metrics")


def fast_hist(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """The n×n histogram of truth `a` against prediction `b`, rows truth.

    Pixels whose truth is not in 0…n−1 (255) do not count. ValueError if a prediction of one that
    counts is out of range.
    """
    a, b = np.ravel(a), np.ravel(b)
    if a.shape != b.shape:
        raise ValueError(f"truth has {a.size} pixels and prediction {b.size}")
    counts = (a >= 0) & (a < n)
    truth, predicted = a[counts].astype(np.int64), b[counts].astype(np.int64)
    if predicted.size and not (0 <= predicted.min() and predicted.max() < n):
        raise ValueError(
            f"predictions must be in 0…{n - 1}; got {predicted.min()}…{predicted.max()}"
        )
    return np.bincount(n * truth + predicted, minlength=n * n).reshape(n, n)


def metrics(hist: np.ndarray) -> Metrics:
    """The four measures of a histogram, and the two per class."""
    hist = np.asarray(hist, dtype=np.float64)
    right, truth, predicted = np.diag(hist), hist.sum(1), hist.sum(0)
    total = hist.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = right / truth
        iu = right / (truth + predicted - right)
        share = truth / total
        overall = right.sum() / total
    seen = share > 0
    return Metrics(
        overall_accuracy=float(overall),
        mean_accuracy=_nanmean(accuracy),
        mean_iu=_nanmean(iu),
        fwavacc=float((share[seen] * iu[seen]).sum()) if total else float("nan"),
        accuracy=accuracy,
        iu=iu,
    )


def _nanmean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")
