"""Photos in, label maps of their size out: sizes, tiles and batches as memory allows."""

import argparse
from functools import partial
from typing import Any, Callable, NamedTuple, Optional

import numpy as np

from fcn.inference.findings import Finding, findings, mostly_background
from fcn.inference.loading import Loaded
from fcn.inference.memory import text
from fcn.inference.probabilities import Probabilities
from fcn.inference.scaling import enlarge_label, scale_to, size_for

__all__ = ["Labelled", "label", "size_of"]

#: Bytes for each pixel of a photo: itself, labels, overlay and what writes them.
PIXEL = 16

#: How many images pass together unless --batch says otherwise: on the CPU, on a GPU. Measured with
#: 320x180: camvid-fcn8s takes 45 ms an image alone and 28 by fours, voc-fcn4s-lite0 187 and 159; on
#: an H200 with 500x375, 3.8 and by eights 2.3, 4.2 and 2.1.
BATCH = 4, 8


class Labelled(NamedTuple):
    """An image and what was found. ``labels``: of each head, uint8 (H, W) as the photo; ``found``:
    of each head; ``size``: (height, width) at which it was labelled; ``note``: what a user should
    know of how, or ""; ``several``: how many images the file holds, of which this is the first."""

    pixels: np.ndarray
    labels: list[np.ndarray]
    found: list[list[Finding]]
    size: tuple[int, int]
    tiles: int
    nothing: bool
    note: str
    probabilities: Optional[list[np.ndarray]]
    several: int = 1


def size_of(pixels: np.ndarray, loaded: Loaded, options: argparse.Namespace) -> tuple[int, int]:
    """The (height, width) at which a photo passes through the net."""
    if loaded.fixed:
        return loaded.training
    return size_for(pixels.shape[:2], loaded.training, options.size, loaded.enlarges)


def batch_size(options: argparse.Namespace) -> int:
    return options.batch or BATCH[options.gpu is not None]


def label(
    images: list[np.ndarray],
    loaded: Loaded,
    options: argparse.Namespace,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Labelled]:
    """Label RGB images, uint8 (H, W, 3), whose `size_of` is the same."""
    size = size_of(images[0], loaded, options)
    beside = PIXEL * max(pixels.shape[0] * pixels.shape[1] for pixels in images)
    limits = options.gpu, options.memory, beside
    plan = loaded.model.plan(*size, *limits)
    most = loaded.model.at_once(*size, len(images), *limits) if len(plan) == 1 else 1
    results: list[Labelled] = []
    while len(results) < len(images):
        some = images[len(results) : len(results) + most]
        results += _pass(some, size, plan, loaded, options, progress)
    return results


def _certain(chosen: np.ndarray) -> float:
    return 1.0


def _pass(
    images: list[np.ndarray],
    size: tuple[int, int],
    plan: Any,
    loaded: Loaded,
    options: Any,
    progress: Any,
) -> list[Labelled]:
    model, heads = loaded.model, loaded.heads
    small = [scale_to(pixels, size) for pixels in images]
    kept = [Probabilities(len(heads), size, model.normalized) for _ in images]
    see: Optional[list[Any]] = kept if options.probabilities else None
    if len(images) > 1:
        labels = model.labels_of(small, see)
    else:
        labels = [model.labels(small[0], plan, progress, see[0] if see else None)]
    results = []
    for item, (pixels, of_heads) in enumerate(zip(images, labels)):
        known = findings(of_heads[0], heads[0].names)
        # Of tiles only the last one's scores are left: what was found is named.
        sure = partial(model.certainty, item=item) if len(plan) == 1 else _certain
        nothing = mostly_background(of_heads[0], known, sure)
        full = [enlarge_label(one, pixels.shape[:2]) for one in of_heads]
        found = [findings(one, head.names) for one, head in zip(full, heads)]
        note = ""
        if len(plan) > 1:
            note = (
                f"{size[1]}x{size[0]} takes {text(model.memory(*size))}, more than may be "
                f"used: {len(plan)} tiles instead, with the same result but for rounding"
            )
        values = [one.astype(options.probabilities) for one in kept[item].of] if see else None
        results.append(Labelled(pixels, full, found, size, len(plan), nothing, note, values))
    return results
