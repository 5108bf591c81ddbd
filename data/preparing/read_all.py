"""All images and masks of a folder read once: what is wrong with them, and what they are like."""

import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, Optional

import numpy as np

from data.preparing import masks as mask_files
from data.preparing.colours import IGNORE
from data.preparing.report import TOLD, Report, tell

if TYPE_CHECKING:
    from data.preparing.folder import Options

__all__ = ["Seen", "read_all"]


class Seen(NamedTuple):
    """What all images and masks together are like; mean in B, G, R of the training images."""

    classes: int
    mean: list
    size: tuple


def read_all(
    options: "Options",
    labels_dir: str,
    train: list,
    val: list,
    names: Optional[list],
    report: Report,
) -> Optional[Seen]:
    """Read everything once: problems of single files, class counts, the mean."""
    from segdata.errors import DataError
    from segdata.images import check_label, read_label, read_rgb

    limit = len(names) if names else IGNORE
    raw_ignored = [] if options.rgb or options.values else options.ignore or []
    counts = np.zeros(256, np.int64)
    sizes: Counter = Counter()
    total, pixels, turned, bad = np.zeros(3), 0, [], []
    wrong: set[tuple] = set()
    for number, (image_name, mask_name) in enumerate(train + val):
        path = os.path.join(labels_dir, mask_name)
        try:
            image = read_rgb(os.path.join(options.images, image_name))
            label = read_label(path)
            label[np.isin(label, raw_ignored)] = IGNORE
            doubt = mask_files.suspicious(path)
            if doubt:
                raise DataError(f"'{path}' {doubt}")
            if label.shape != (image.height, image.width):
                raise DataError(
                    f"'{image_name}' is {image.width}x{image.height}, its mask "
                    f"{label.shape[1]}x{label.shape[0]}"
                )
            check_label(label, limit, path)
        except DataError as error:
            advice = "; see --rgb and --values" if "expected class numbers" in str(error) else ""
            bad.append(f"{error}{advice}")
            wrong.add((image_name, mask_name))
            continue
        if mask_files.is_turned(os.path.join(options.images, image_name)):
            turned.append(image_name)
        counts += np.bincount(label.ravel(), minlength=256)
        sizes[label.shape] += 1
        if number < len(train):
            values = np.asarray(image)
            total += values.reshape(-1, 3).sum(axis=0)
            pixels += label.size
    tell(bad, len(train) + len(val), report, options.skip_bad)
    for pairs in (train, val):
        pairs[:] = [pair for pair in pairs if pair not in wrong]
    if not (train and val) and not report.problems:
        report.problem("of the images to train on, or of those to validate on, none is right")
    if report.problems:
        return None
    present = np.flatnonzero(counts[:IGNORE])
    if not names and counts[IGNORE] and present.tolist() == [0]:
        report.problem(
            "the masks hold only 0 and 255, and 255 is what does not count; if it is "
            "the foreground, say --values 0,255"
        )
        return None
    if not len(present):
        report.problem("all pixels of all masks are 255, which does not count")
        return None
    classes = limit if names else int(present[-1]) + 1
    absent = [i for i in range(classes) if not counts[i]]
    if absent:
        report.note(
            "no pixel is of class {}".format(
                ", ".join(f"{i} {names[i]}" if names else str(i) for i in absent[:TOLD])
            )
        )
    report.did(
        f"{len(train) + len(val)} images with {classes} classes, "
        f"{100 * counts[IGNORE] / counts.sum():.1f} % of the pixels do not count"
    )
    if turned:
        report.note(mask_files.turned_text(turned))
    if len(sizes) > 1:
        report.note(f"there are {len(sizes)} sizes: batches of several images need a crop")
    mean = [round(float(value), 3) for value in (total / pixels)[::-1]]
    return Seen(classes, mean, sizes.most_common(1)[0][0])
