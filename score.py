"""Scores of a segmentation net over a data set, from one integer histogram.

`seg_tests`, `do_seg_tests`, `compute_hist` and `fast_hist` have the names, arguments and printed
lines of the published FCN code. With h[i, j] the number of pixels of class i that were labelled j:

    overall accuracy = Σ h[i, i] / Σ h
    mean accuracy    = mean over i of h[i, i] / Σⱼ h[i, j]
    mean IU          = mean over i of h[i, i] / (Σⱼ h[i, j] + Σⱼ h[j, i] − h[i, i])
    fwavacc          = Σ over i of (Σⱼ h[i, j] / Σ h) · IU(i)

The means leave out what is 0/0: a class that is absent from the truth for the accuracy, from truth
and prediction alike for IU.

On the command line, scores a trained experiment:  python score.py voc-fcn8s [--split NAME]
"""

import os
from collections import namedtuple
from datetime import datetime

import numpy as np

from data.palette import save_label_png, voc_palette

__all__ = [
    "Metrics",
    "Score",
    "compute_hist",
    "do_seg_tests",
    "evaluate",
    "fast_hist",
    "metrics",
    "seg_tests",
    "share_weights",
]

#: Fractions 0–1. accuracy and iu hold one value per class, NaN where a class is left out of the
#: mean.
Metrics = namedtuple("Metrics", "overall_accuracy mean_accuracy mean_iu fwavacc accuracy iu")

#: loss: mean per image, NaN for a net without one; hist: int64, rows truth, columns prediction.
Score = namedtuple("Score", "loss hist metrics")


def fast_hist(a, b, n):
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


def metrics(hist):
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


def _nanmean(values):
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _loss(net):
    """The loss of the last forward: the blob `loss`, or else all losses by their weights."""
    if "loss" in net.blobs:
        return float(net.blobs["loss"].data.sum())
    weighted = [(name, w) for name, w in net.blob_loss_weights.items() if w]
    if not weighted:
        return float("nan")
    return float(sum(w * net.blobs[name].data.sum() for name, w in weighted))


def _rewind(net):
    """Put the data layers at the first image, wherever an earlier pass left them."""
    for layer in net.layers:
        if hasattr(layer, "seek"):
            layer.seek(0)


def compute_hist(net, save_dir, dataset, layer="score", gt="label"):
    """Run the net over the data set and return (histogram, mean loss).

    dataset: the ids, in the order in which the net's data layer serves them. They tell how many
    images there are and how predictions are named; a batch may hold several, and what a last batch
    serves beyond the end is not counted (its loss is: Caffe gives one number per batch).
    save_dir: if given, every prediction is written to <save_dir>/<id>.png, class numbers as a
    palette PNG in the VOC colours.
    """
    if not len(dataset):
        raise ValueError("the list of images to score is empty")
    if save_dir:
        os.makedirs(save_dir, exist_ok=True)
    _rewind(net)
    hist, loss, done = None, 0.0, 0
    while done < len(dataset):
        net.forward()
        scores, labels = net.blobs[layer].data, net.blobs[gt].data  # (N, C, H, W), (N, 1, H, W)
        if hist is None:
            classes = scores.shape[1]
            hist = np.zeros((classes, classes), np.int64)
        used = min(len(scores), len(dataset) - done)
        for i in range(used):
            predicted = scores[i].argmax(0)  # of equal scores the lowest class
            hist += fast_hist(labels[i, 0], predicted, classes)
            if save_dir:
                path = os.path.join(save_dir, dataset[done + i] + ".png")
                save_label_png(path, predicted.astype(np.uint8), voc_palette())
        loss += used * _loss(net)
        done += used
    return hist, loss / len(dataset)


def _say(*words):
    print(">>>", datetime.now(), *words)


def seg_tests(solver, save_format, dataset, layer="score", gt="label"):
    """Score the solver's first test net with the weights of its train net; return the histogram."""
    share_weights(solver)
    return do_seg_tests(solver.test_nets[0], solver.iter, save_format, dataset, layer, gt)


def share_weights(solver):
    """Print that a scoring begins, and let the first test net see the train net's weights."""
    _say("Begin seg tests")
    solver.test_nets[0].share_with(solver.net)


def do_seg_tests(net, iter, save_format, dataset, layer="score", gt="label"):
    """Score a net, print five lines, return the histogram. save_format: a folder for predictions in
    which {} stands for the iteration, or False."""
    return evaluate(net, iter, save_format, dataset, layer, gt).hist


def evaluate(net, iter, save_format, dataset, layer="score", gt="label"):
    """do_seg_tests that returns the whole Score."""
    save_dir = save_format.format(iter) if save_format else None
    hist, loss = compute_hist(net, save_dir, dataset, layer, gt)
    result = Score(loss, hist, metrics(hist))
    _say("Iteration", iter, "loss", loss)
    _say("Iteration", iter, "overall accuracy", result.metrics.overall_accuracy)
    _say("Iteration", iter, "mean accuracy", result.metrics.mean_accuracy)
    _say("Iteration", iter, "mean IU", result.metrics.mean_iu)
    _say("Iteration", iter, "fwavacc", result.metrics.fwavacc)
    return result


if __name__ == "__main__":
    import sys

    from solvers import scoring

    sys.exit(scoring.main())
