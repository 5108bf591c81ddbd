"""WindowData's file of windows, and where in a crop each window goes."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np

from caffe.errors import DataError

__all__ = ["Place", "Windows", "place", "read_windows"]

_F32 = np.float32
N = TypeVar("N", int, float)


@dataclass
class Windows:
    """What a window file holds: images by index, and windows as rows
    (image, class, x1, y1, x2, y2), pixels, ends included."""

    images: list[str] = field(default_factory=list)
    foreground: np.ndarray = field(default_factory=lambda: np.zeros((0, 6), np.int32))
    background: np.ndarray = field(default_factory=lambda: np.zeros((0, 6), np.int32))


class _Words:
    """The words of a file, one after the other, with the line that each stands in."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.line = 0
        self._words = self._read()

    def _read(self) -> Iterator[str]:
        with open(self.path, encoding="utf-8", errors="surrogateescape") as stream:
            for self.line, text in enumerate(stream, 1):
                yield from text.split()

    def next(self, what: str) -> str:
        word = next(self._words, None)
        if word is None:
            raise DataError(f"{self.path}:{self.line}: the file ends where {what} is expected")
        return word

    def number(self, what: str) -> int:
        return self._as(int, what)

    def fraction(self, what: str) -> float:
        return self._as(float, what)

    def _as(self, kind: Callable[[str], N], what: str) -> N:
        word = self.next(what)
        try:
            return kind(word)
        except ValueError:
            raise DataError(
                f"{self.path}:{self.line}: expected {what}, a number, got '{word}'"
            ) from None

    def end(self) -> bool:
        word = next(self._words, None)
        if word not in (None, "#"):
            raise DataError(
                f"{self.path}:{self.line}: expected '# index', the next image, got '{word}'"
            )
        return word is None


def read_windows(path: str, root: str, foreground: float, background: float) -> Windows:
    """Read a window file: for each image ``# index``, path, channels, height, width, the number of
    windows, then a line ``class overlap x1 y1 x2 y2`` for each.

    A window is foreground from the overlap ``foreground`` on, background, class 0, below
    ``background``, and neither in between.  Raises DataError with file and line.
    """
    words = _Words(path)
    found = Windows()
    rows = array("i"), array("i")  # background, foreground
    indices = []
    least, below = _F32(foreground), _F32(background)
    try:
        while not words.end():
            index = words.number("the index of an image")
            indices.append(index)
            found.images.append(root + words.next("the path of an image"))
            channels = words.number("the image's number of channels")
            if channels != 3:
                raise DataError(
                    f"{path}:{words.line}: image {index} has {channels} channel(s): expected 3, "
                    "images are read in colour"
                )
            words.number("the image's height")
            words.number("the image's width")
            for _ in range(words.number("the number of windows")):
                label = words.number("a window's class")
                overlap = _F32(words.fraction("a window's overlap"))
                box = [words.number(f"a window's {name}") for name in ("x1", "y1", "x2", "y2")]
                if overlap >= least:
                    if label < 1:
                        raise DataError(
                            f"{path}:{words.line}: a foreground window (overlap {overlap:g}) "
                            f"has class {label}: expected 1 or more, 0 is the background"
                        )
                    rows[1].extend([index, label, *box])
                elif overlap < below:
                    rows[0].extend([index, 0, *box])
    except OSError as error:
        raise DataError(f"Failed to open window file {path}: {error.strerror or error}") from error
    except OverflowError as error:
        raise DataError(f"{path}:{words.line}: a number is out of range: {error}") from error
    if not found.images:
        raise DataError(f"Window file is empty: {path}")
    for index in indices:
        if not 0 <= index < len(found.images):
            raise DataError(
                f"{path}: image index {index}, but there are {len(found.images)} images: "
                "number them from 0 in the order of the file"
            )
    found.background, found.foreground = (np.array(r, np.int32).reshape(-1, 6) for r in rows)
    return found


class Place(NamedTuple):
    """A region of an image (x1 to x2, y1 to y2, ends included), the size to warp it to, and how
    many rows and columns of zeros stay above and to the left of it."""

    x1: int
    y1: int
    x2: int
    y2: int
    height: int
    width: int
    top: int
    left: int


def place(
    box: tuple[int, int, int, int],
    size: tuple[int, int],
    crop: int,
    context: int = 0,
    square: bool = False,
    mirror: bool = False,
) -> Place:
    """Where the window ``box`` of an image of ``size`` (height, width) goes in a crop x crop top.

    Without ``context`` and ``square`` it is warped to all of it.  ``context`` widens the window so
    that its warped self has that many pixels around it; ``square`` widens its shorter side to the
    longer.  What then lies outside the image is left zero, on the other side under ``mirror``.
    BVLC computes in float32 and rounds halves away from zero.
    """
    x1, y1, x2, y2 = box
    if not context and not square:
        return Place(x1, y1, x2, y2, crop, crop, 0, 0)
    scale = _F32(crop) / _F32(crop - 2 * context)
    half_height, half_width = _F32((y2 - y1 + 1) / 2), _F32((x2 - x1 + 1) / 2)
    centre_x, centre_y = _F32(x1) + half_width, _F32(y1) + half_height
    if square:
        half_height = half_width = max(half_height, half_width)
    x1, x2 = _round(centre_x - half_width * scale), _round(centre_x + half_width * scale)
    y1, y2 = _round(centre_y - half_height * scale), _round(centre_y + half_height * scale)
    scale_x, scale_y = _F32(crop) / _F32(x2 - x1 + 1), _F32(crop) / _F32(y2 - y1 + 1)
    left, top = max(0, -x1), max(0, -y1)
    right, bottom = max(0, x2 - size[1] + 1), max(0, y2 - size[0] + 1)
    x1, y1, x2, y2 = x1 + left, y1 + top, x2 - right, y2 - bottom
    width, height = _round(_F32(x2 - x1 + 1) * scale_x), _round(_F32(y2 - y1 + 1) * scale_y)
    left = _round(_F32(right if mirror else left) * scale_x)
    top = _round(_F32(top) * scale_y)
    # Each was rounded by itself: together they may be too long by a pixel.
    return Place(x1, y1, x2, y2, min(height, crop - top), min(width, crop - left), top, left)


def _round(value: float | np.floating) -> int:
    """To the nearest integer, halves away from zero, as C's round."""
    return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))
