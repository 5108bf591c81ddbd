"""Scores of predictions saved as files, without a net:  python score.py --pred DIR --gt DIR

Both folders hold label maps, one file an image, paired by name without ending: PNGs (palette or
grey, class numbers as pixel values) or NumPy's .npy. Predictions may be anybody's.
"""

from __future__ import annotations

import os
from collections import namedtuple
from collections.abc import Iterable, Sequence

import numpy as np

from fcn.errors import StartError
from fcn.scoring.metrics import Score, fast_hist, metrics
from segdata.images import open_image

ENDINGS = (".png", ".npy")

#: What some ports report in place of data set level measures: the means, over the images, of each
#: image's own measures. NaN where no image has any.
PerImage = namedtuple("PerImage", "overall_accuracy mean_accuracy mean_iu images")


def label_maps(folder: str) -> dict[str, str]:
    """{name without ending: path} of the label maps in a folder."""
    if not os.path.isdir(folder):
        raise StartError(f"{folder} is no folder")
    found: dict[str, str] = {}
    for entry in sorted(os.listdir(folder)):
        stem, ending = os.path.splitext(entry)
        if ending.lower() in ENDINGS:
            if stem in found:
                raise StartError(
                    f"{folder} holds two label maps of '{stem}': {os.path.basename(found[stem])} "
                    f"and {entry}; keep one"
                )
            found[stem] = os.path.join(folder, entry)
    if not found:
        raise StartError(f"{folder} holds no label maps ({' or '.join(ENDINGS)})")
    return found


def read_label_map(path: str) -> np.ndarray:
    """A label map as integers, H×W; StartError if the file holds anything else."""
    try:
        if path.lower().endswith(".npy"):
            label = _read_npy(path)
        else:
            with open_image(path, "label map") as image:
                if image.mode not in ("1", "L", "P", "I", "I;16"):
                    raise StartError(
                        f"{path} is a picture of mode {image.mode}, expected class numbers as a "
                        "palette or grey PNG; a mask in colours must be converted first"
                    )
                label = np.array(image)
    except (OSError, ValueError) as error:
        raise StartError(f"{path} cannot be read: {error}") from error
    if label.dtype == bool:
        label = label.astype(np.uint8)
    if label.ndim != 2 or not np.issubdtype(label.dtype, np.integer):
        raise StartError(f"{path}: expected integers of H×W; received {label.dtype} {label.shape}")
    return label


def _read_npy(path: str) -> np.ndarray:
    try:
        # Mapped, a file is found too short for the shape that it announces, and not asked for in
        # memory.
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    # A crafted header makes NumPy's parser raise whatever it runs into.
    except Exception as error:
        raise StartError(f"{path} cannot be read as .npy: {repr(error)[:300]}") from error


def pairs(
    predicted: str, truth: str, images: Iterable[str] | None = None
) -> list[tuple[str, str, str]]:
    """[(name, path of the prediction, path of the truth)], in order.

    images: the names to score; default: all of `truth`. Every one of them needs both files.
    """
    ours, theirs = label_maps(predicted), label_maps(truth)
    names = list(images) if images is not None else sorted(theirs)
    for found, folder in ((theirs, truth), (ours, predicted)):
        missing = [name for name in names if name not in found]
        if missing:
            raise StartError(
                f"{folder} has no label map for {len(missing)} of {len(names)} images, "
                f"'{missing[0]}' first"
            )
    return [(name, ours[name], theirs[name]) for name in names]


def histogram(predicted: str, truth: str, classes: int, ignore: int | None = None) -> np.ndarray:
    """The histogram of one image, from two paths. ignore: a label that does not count, beside all
    that are not in 0…classes−1."""
    found, wanted = read_label_map(predicted), read_label_map(truth)
    if found.shape != wanted.shape:
        raise StartError(
            f"{predicted} is {found.shape[1]}×{found.shape[0]}, its truth {truth} "
            f"{wanted.shape[1]}×{wanted.shape[0]}"
        )
    wanted = wanted.astype(np.int64)
    if ignore is not None:
        wanted[wanted == ignore] = -1
    counted = (wanted >= 0) & (wanted < classes)
    wild = counted & ((found < 0) | (found >= classes))
    if wild.any():
        y, x = np.argwhere(wild)[0]
        raise StartError(
            f"{predicted}: the value at x={x}, y={y} is {found[y, x]}, expected 0…{classes - 1}"
            "; is --classes right?"
        )
    return fast_hist(wanted, found, classes)


def evaluate(
    found: Sequence[tuple[str, str, str]], classes: int, ignore: int | None = None
) -> tuple[Score, PerImage]:
    """(score.Score, PerImage) of the pairs that `pairs` gives; the loss is NaN."""
    hist = np.zeros((classes, classes), np.int64)
    each = []
    for _, predicted, truth in found:
        one = histogram(predicted, truth, classes, ignore)
        hist += one
        each.append(metrics(one))
    means = [_mean([getattr(m, field) for m in each]) for field in PerImage._fields[:-1]]
    averages = PerImage(means[0], means[1], means[2], len(each))
    return Score(float("nan"), hist, metrics(hist)), averages


def _mean(values: Sequence[float]) -> float:
    """Of those that are numbers: an image whose pixels are all ignored has none."""
    values = [value for value in values if value == value]
    return float(np.mean(values)) if values else float("nan")


def report(result: Score, averages: PerImage) -> str:
    """The lines that are printed before the table of classes."""
    lines = [
        f"{averages.images} images, {result.hist.sum()} pixels counted",
        f"{'':<20} {'data set':>10} {'mean of images':>15}",
    ]
    for title, field in (
        ("overall accuracy", "overall_accuracy"),
        ("mean accuracy", "mean_accuracy"),
        ("mean IU", "mean_iu"),
    ):
        both = getattr(result.metrics, field), getattr(averages, field)
        lines.append("{:<20} {:>10.4f} {:>15.4f}".format(title, *both))
    lines.append(f"{'fwavacc':<20} {result.metrics.fwavacc:>10.4f}")
    return "\n".join(lines)
