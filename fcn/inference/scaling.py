"""Photos at the size that a net was trained at, and its labels back at the photo's.

A net knows things at the size that they had in its training pictures. On pictures three times as
large camvid-fcn8s has a mean IU of 35 % in place of 51 %: it sees a few bricks, not a house. On
VOC's pictures at a quarter of their size voc-fcn4s-lite0 has 28 %, and 40 % where it enlarges them
again (`benchmarks/picture_sizes.py`). In a panorama things are as large as its height lets them
be: four of VOC's pictures side by side have 21 % where the whole is reduced to a length of 500, and
46 % where it is reduced to a height of 250 (`benchmarks/panoramas.py`).
"""

from __future__ import annotations

import argparse
from typing import Optional

import numpy as np
from PIL import Image

__all__ = ["ENLARGED", "NATIVE", "enlarge_label", "scale_to", "side", "size_for"]

#: Datasets whose nets see smaller pictures enlarged too: a small photo is a thumbnail. A small
#: picture of cells, or of a camera that never moves, is rather a part of a larger one.
ENLARGED = ("voc",)

#: A picture more than this many times as long as wide counts as a panorama: its scale follows from
#: its narrow side. Of 4:1, 3:1, 2:1 and 3:2 in place of this, 2:1 labels panoramas best.
PANORAMA = 2

#: Pictures are enlarged this many times at most. VOC's at an eighth of their size have 36 % mean IU
#: four times enlarged and 24 % eight times; at a quarter of it three times is best.
MOST_ENLARGED = 4

#: The choice of a user who wants every pixel of the photo seen.
NATIVE = "native"


def side(text: str) -> str | int:
    """What ``--size`` says: NATIVE, or the longer side in pixels."""
    if text == NATIVE:
        return text
    if not (text.isdecimal() and len(text) < 8 and int(text) >= 1):
        raise argparse.ArgumentTypeError(
            f"expected 'native' or the longer side in pixels; received '{text}'"
        )
    return int(text)


def size_for(
    size: tuple[int, int],
    training: tuple[int, int],
    choice: str | int | None = None,
    enlarge: bool = False,
) -> tuple[int, int]:
    """The (height, width) at which a photo of ``size`` is labelled.

    Without a choice: its longer side is that of the training pictures, where it is not smaller or
    is to be enlarged. Of a panorama that side is taken for PANORAMA times the narrow one.

    >>> size_for((3024, 4032), (360, 480)), size_for((90, 120), (360, 480))
    ((360, 480), (90, 120))
    >>> size_for((90, 120), (360, 480), enlarge=True), size_for((800, 6000), (375, 500))
    ((360, 480), (250, 1875))
    """
    longer = max(size)
    wanted, of = longer, longer
    if choice is None:
        wanted, of = max(training), min(longer, PANORAMA * min(size))
        most = MOST_ENLARGED if enlarge else 1
        wanted = min(wanted, most * of)
    elif choice != NATIVE:
        wanted = int(choice)
    height, width = (max(1, int(length * wanted / of + 0.5)) for length in size)
    return height, width


def scale_to(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """RGB uint8 (H, W, 3) at another (height, width); what is reduced is averaged."""
    if pixels.shape[:2] == size:
        return pixels
    return np.array(Image.fromarray(pixels).resize(size[::-1], Image.BILINEAR))


def enlarge_label(label: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A label map, uint8 (H, W), at another (height, width), with smooth borders.

    Each class is scaled as a picture of ones and zeros; a pixel belongs to the class that is
    largest there, of equal ones to the lowest.
    """
    if label.shape == size:
        return label
    classes = [int(c) for c in np.flatnonzero(np.bincount(label.ravel(), minlength=256))]
    result = np.full(size, classes[0], np.uint8)
    best: Optional[np.ndarray] = None
    for number in classes if len(classes) > 1 else ():
        ones = Image.fromarray((label == number).astype(np.uint8) * 255)
        share = np.array(ones.resize(size[::-1], Image.BILINEAR))
        if best is None:
            best = share
            continue
        more = share > best
        result[more] = number
        np.maximum(best, share, out=best)
    return result
