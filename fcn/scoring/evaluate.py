"""Scores of a net over a data set, with the names and the printed lines of the published code."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from fcn.engine import argmax, forward
from fcn.inference.probabilities import softmax
from fcn.palette import save_label_png, voc_palette
from fcn.scoring.metrics import Score, fast_hist, metrics

if TYPE_CHECKING:
    import caffe

__all__ = ["compute_hist", "do_seg_tests", "evaluate", "seg_tests", "share_weights"]


def _loss(net: caffe.Net) -> float:
    """The loss of the last forward: the blob `loss`, or else all losses by their weights."""
    if "loss" in net.blobs:
        return float(net.blobs["loss"].data.sum())
    weighted = [(name, w) for name, w in net.blob_loss_weights.items() if w]
    if not weighted:
        return float("nan")
    return float(sum(w * net.blobs[name].data.sum() for name, w in weighted))


def _mirrored(net: caffe.Net, layer: str, images: Sequence[str]) -> np.ndarray:
    """The classes by the last pass and one of the mirrored images together, (N, H, W)."""
    first = [softmax(scores) for scores in net.blobs[layer].data]
    for blob in images:
        net.blobs[blob].data[...] = np.array(net.blobs[blob].data[..., ::-1])
    forward(net, 1)  # behind the data layer
    mirrored = [softmax(scores)[..., ::-1] for scores in net.blobs[layer].data]
    return np.stack([(a + b).argmax(0) for a, b in zip(first, mirrored)])


def _rewind(net: caffe.Net) -> None:
    """Put the data layers at the first image, wherever an earlier pass left them."""
    for layer in net.layers:
        if hasattr(layer, "seek"):
            layer.seek(0)


def compute_hist(
    net: caffe.Net,
    save_dir: str | None,
    dataset: Sequence[str],
    layer: str = "score",
    gt: str = "label",
    each: Callable[[int, int, np.ndarray, np.ndarray, np.ndarray], None] | None = None,
    mirror: Sequence[str] = (),
) -> tuple[np.ndarray, float]:
    """Run the net over the data set and return (histogram, mean loss).

    dataset: the ids, in the order in which the net's data layer serves them. They tell how many
    images there are and how predictions are named; a batch may hold several, and what a last batch
    serves beyond the end is not counted (its loss is: Caffe gives one number per batch).
    save_dir: if given, every prediction is written to <save_dir>/<id>.png, class numbers as a
    palette PNG in the VOC colours.
    each: called after each image with (its number in the data set, its place in the batch, truth
    and prediction as (H, W), their histogram).
    mirror: the blobs of images, which the first layer serves, if predictions are to come from the
    mean probabilities of each image and its mirror image; the loss is that of the image.
    """
    if not len(dataset):
        raise ValueError("the list of images to score is empty")
    if save_dir:
        os.makedirs(save_dir, exist_ok=True)
    _rewind(net)
    classes = net.blobs[layer].shape[1]
    hist = np.zeros((classes, classes), np.int64)
    loss, done = 0.0, 0
    while done < len(dataset):
        forward(net)
        batch_loss, labels = _loss(net), net.blobs[gt].data  # (N, 1, H, W)
        predictions = _mirrored(net, layer, mirror) if mirror else argmax(net, layer)  # (N, H, W)
        used = min(len(predictions), len(dataset) - done)
        for i in range(used):
            one = fast_hist(labels[i, 0], predictions[i], classes)
            hist += one
            if each:
                each(done + i, i, labels[i, 0], predictions[i], one)
            if save_dir:
                path = os.path.join(save_dir, dataset[done + i] + ".png")
                save_label_png(path, predictions[i].astype(np.uint8), voc_palette())
        loss += used * batch_loss
        done += used
    return hist, loss / len(dataset)


def _say(*words: object) -> None:
    print(">>>", datetime.now(), *words)


def seg_tests(
    solver: Any, save_format: str, dataset: Sequence[str], layer: str = "score", gt: str = "label"
) -> np.ndarray:
    """Score the solver's first test net with the weights of its train net; return the histogram."""
    _say("Begin seg tests")
    share_weights(solver)
    return do_seg_tests(solver.test_nets[0], solver.iter, save_format, dataset, layer, gt)


def share_weights(solver: Any) -> None:
    """Let the first test net see the train net's weights."""
    solver.test_nets[0].share_with(solver.net)


def do_seg_tests(
    net: caffe.Net,
    iter: int,
    save_format: str,
    dataset: Sequence[str],
    layer: str = "score",
    gt: str = "label",
) -> np.ndarray:
    """Score a net, print five lines, return the histogram. save_format: a folder for predictions in
    which {} stands for the iteration, or False."""
    save_dir = save_format.format(iter) if save_format else None
    result = evaluate(net, save_dir, dataset, layer, gt)
    _say("Iteration", iter, "loss", result.loss)
    _say("Iteration", iter, "overall accuracy", result.metrics.overall_accuracy)
    _say("Iteration", iter, "mean accuracy", result.metrics.mean_accuracy)
    _say("Iteration", iter, "mean IU", result.metrics.mean_iu)
    _say("Iteration", iter, "fwavacc", result.metrics.fwavacc)
    return result.hist


def evaluate(
    net: caffe.Net,
    save_dir: str | None,
    dataset: Sequence[str],
    layer: str = "score",
    gt: str = "label",
    each: Callable[[int, int, np.ndarray, np.ndarray, np.ndarray], None] | None = None,
    mirror: Sequence[str] = (),
) -> Score:
    """The whole Score of a net, nothing printed; arguments: those of `compute_hist`."""
    hist, loss = compute_hist(net, save_dir, dataset, layer, gt, each, mirror)
    return Score(loss, hist, metrics(hist))
