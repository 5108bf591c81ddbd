"""Random scale, crop and mirror of an image and what belongs to it."""

import random
from typing import Any, NamedTuple, Optional

import numpy as np
from PIL import Image

from segdata.images import IGNORE

__all__ = ["Augmentation", "View", "cut", "recoloured"]


class View(NamedTuple):
    """A window on a scaled image; the window may reach beyond the image, which is padded.

    ``scaled`` and ``size`` are (height, width) in pixels; ``top`` and ``left`` are the window's
    corner in the scaled image, negative where the window begins outside of it.  A pixel value v of
    channel c (B, G, R) of a photograph becomes ``gain[c] * v``, None for no change.  Before that
    contrast and saturation change by the factors in ``color``, None for no change.
    """

    scaled: tuple[int, int]
    top: int
    left: int
    size: tuple[int, int]
    mirror: bool
    gain: Optional[tuple[float, float, float]] = None
    color: Optional[tuple[float, float]] = None


class Augmentation(NamedTuple):
    """What may vary: ``scale`` (low, high), ``crop`` (height, width), ``mirror``.

    ``balance`` is the share of crops that are laid around a pixel of a class drawn evenly from
    those in the image, so that small and rare classes are seen as often as large ones.  ``light``
    varies brightness by up to that share, and each channel by half of it, as other light does;
    ``color`` varies contrast and saturation by up to that share each.
    """

    scale: Optional[tuple[float, float]] = None
    crop: Optional[tuple[int, int]] = None
    mirror: bool = False
    balance: float = 0.0
    light: float = 0.0
    color: float = 0.0

    @property
    def active(self) -> bool:
        return bool(self.scale or self.crop or self.mirror or self.light or self.color)

    def draw(self, label: Image.Image, rng: Any) -> View:
        """Choose a view of an image with this label map: uniform scale, then the place.

        rng: a random.Random; None will do where nothing is ``active``. Only ``balance`` looks into
        the label map; without it any image of that size will do.
        """
        height, width = label.height, label.width
        factor = rng.uniform(*self.scale) if self.scale else 1.0
        scaled = (max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5)))
        size = self.crop or scaled
        row = column = None
        if self.balance and self.crop and rng.random() < self.balance:
            row, column = _pixel_of_a_class(label, rng)
        top = _place(scaled[0], size[0], rng, row)
        left = _place(scaled[1], size[1], rng, column)
        mirror = self.mirror and rng.random() < 0.5
        gain = self._gain(rng)
        color = None
        if self.color:
            color = (self._factor(rng), self._factor(rng))
        return View(scaled, top, left, (size[0], size[1]), mirror, gain, color)

    def _factor(self, rng: random.Random) -> float:
        return 1 + rng.uniform(-self.color, self.color)

    def _gain(self, rng: random.Random) -> Optional[tuple[float, float, float]]:
        if not self.light:
            return None
        all_channels = 1 + rng.uniform(-self.light, self.light)
        half = self.light / 2
        blue, green, red = (all_channels * (1 + rng.uniform(-half, half)) for _ in range(3))
        return blue, green, red


def _place(length: int, window: int, rng: random.Random, around: Optional[float] = None) -> int:
    """Where a window begins: anywhere inside what is longer, around what is shorter.

    With ``around``, a place from 0 to 1 along the length, it is one of the windows that hold it.
    """
    room = length - window
    if room == 0:
        return 0
    if room < 0:
        return -int(rng.random() * (1 - room))
    first, last = 0, room
    if around is not None:
        pixel = min(int(around * length), length - 1)
        first, last = max(0, pixel - window + 1), min(room, pixel)
    return first + int(rng.random() * (last - first + 1))


def _pixel_of_a_class(
    label: Image.Image, rng: random.Random
) -> tuple[Optional[float], Optional[float]]:
    """Where a pixel of an evenly drawn class lies, as fractions of height and width."""
    counts = label.histogram()
    present = [c for c in range(256) if counts[c] and c != IGNORE]
    if not present:
        return None, None
    wanted = present[int(rng.random() * len(present))]
    places = np.flatnonzero(np.asarray(label).ravel() == wanted)
    row, column = divmod(int(places[int(rng.random() * len(places))]), label.width)
    return (row + 0.5) / label.height, (column + 0.5) / label.width


def cut(
    image: Image.Image, view: View, resampling: int = Image.BILINEAR
) -> tuple[np.ndarray, tuple[int, int]]:
    """The part of the image that is inside the window, and where it goes there.

    Returns the pixels, (h, w) or (h, w, 3), and the (row, column) in the window.  Only that part is
    resampled, where the view is scaled.
    """
    (height, width), (rows, columns) = view.scaled, view.size
    top, bottom = max(view.top, 0), min(view.top + rows, height)
    left, right = max(view.left, 0), min(view.left + columns, width)
    if (height, width) == (image.height, image.width):
        part = image.crop((left, top, right, bottom))
    else:
        sy, sx = image.height / height, image.width / width
        # The product may exceed the image by a rounding error, which Pillow refuses.
        box = (left * sx, top * sy, min(right * sx, image.width), min(bottom * sy, image.height))
        part = image.resize((right - left, bottom - top), resampling, box)
    pixels = np.asarray(part)
    at = (top - view.top, left - view.left)
    if view.mirror:
        pixels = pixels[:, ::-1]
        at = (at[0], columns - at[1] - (right - left))
    return pixels, at


#: How bright red, green and blue look.
_LUMA = (0.299, 0.587, 0.114)


def recoloured(pixels: np.ndarray, contrast: float, saturation: float) -> np.ndarray:
    """RGB pixels, uint8 (h, w, 3), contrast (around middle grey) and saturation times factors."""
    grey = [(1 - saturation) * share for share in _LUMA]
    offset = 128 * (1 - contrast)
    matrix = []
    for channel in range(3):
        row = [contrast * (grey[i] + saturation * (i == channel)) for i in range(3)]
        matrix += row + [offset]
    return np.asarray(Image.fromarray(pixels).convert("RGB", tuple(matrix)))
