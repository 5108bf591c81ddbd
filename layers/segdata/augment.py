"""Random scale, crop and mirror of an image and its label, and the way into Caffe's array."""

import random
from typing import NamedTuple, Optional

import numpy as np
from PIL import Image

from segdata.images import IGNORE

__all__ = ["Augmentation", "View", "cut", "to_blob"]


class View(NamedTuple):
    """A window on a scaled image; the window may reach beyond the image, which is padded.

    ``scaled`` and ``size`` are (height, width) in pixels; ``top`` and ``left`` are the window's
    corner in the scaled image, negative where the window begins outside of it.
    """

    scaled: tuple[int, int]
    top: int
    left: int
    size: tuple[int, int]
    mirror: bool


class Augmentation(NamedTuple):
    """What may vary: ``scale`` (low, high), ``crop`` (height, width), ``mirror``."""

    scale: Optional[tuple[float, float]] = None
    crop: Optional[tuple[int, int]] = None
    mirror: bool = False

    @property
    def active(self) -> bool:
        return bool(self.scale or self.crop or self.mirror)

    def draw(self, height: int, width: int, rng: random.Random) -> View:
        """Choose a view of a ``height`` × ``width`` image: uniform scale, uniform place."""
        factor = rng.uniform(*self.scale) if self.scale else 1.0
        scaled = (max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5)))
        size = self.crop or scaled
        top = _place(scaled[0], size[0], rng)
        left = _place(scaled[1], size[1], rng)
        return View(scaled, top, left, tuple(size), self.mirror and rng.random() < 0.5)


def _place(length: int, window: int, rng: random.Random) -> int:
    """Where a window begins: anywhere inside what is longer, around what is shorter."""
    room = length - window
    if room == 0:
        return 0
    start = int(rng.random() * (abs(room) + 1))
    return start if room > 0 else -start


def cut(
    image: Image.Image, label: Image.Image, view: View
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """The part of the image and label that is inside the window, and where it goes there.

    Returns RGB uint8 (h, w, 3), class numbers uint8 (h, w) and the (row, column) in the window.
    Only that part is resampled: bilinear for the image, nearest for the label.
    """
    (height, width), (rows, columns) = view.scaled, view.size
    top, bottom = max(view.top, 0), min(view.top + rows, height)
    left, right = max(view.left, 0), min(view.left + columns, width)
    if (height, width) == (image.height, image.width):
        box = (left, top, right, bottom)
        pixels, classes = image.crop(box), label.crop(box)
    else:
        sy, sx = image.height / height, image.width / width
        # The product may exceed the image by a rounding error, which Pillow refuses.
        box = (left * sx, top * sy,
               min(right * sx, image.width), min(bottom * sy, image.height))
        size = (right - left, bottom - top)
        pixels = image.resize(size, Image.BILINEAR, box)
        classes = label.resize(size, Image.NEAREST, box)
    pixels, classes = np.asarray(pixels), np.asarray(classes)
    at = (top - view.top, left - view.left)
    if view.mirror:
        pixels, classes = pixels[:, ::-1], classes[:, ::-1]
        at = (at[0], columns - at[1] - (right - left))
    return pixels, classes, at


def to_blob(
    pixels: np.ndarray, classes: np.ndarray, mean: np.ndarray,
    data: np.ndarray, label: np.ndarray, at: tuple[int, int] = (0, 0),
) -> None:
    """Write RGB pixels minus the mean into ``data`` (3, H, W) as BGR, classes into ``label``.

    ``mean`` is float64 in BGR order; the difference is rounded once, to float32.  What the pixels
    do not cover becomes 0, which is the mean colour, and 255 (ignored) in ``label`` (1, H, W).
    """
    height, width = classes.shape
    if (height, width) != label.shape[1:]:
        data[...] = 0
        label[...] = IGNORE
    y, x = at
    np.subtract(
        pixels[:, :, ::-1].transpose(2, 0, 1), mean[:, None, None],
        out=data[:, y:y + height, x:x + width], casting="same_kind",
    )
    label[0, y:y + height, x:x + width] = classes
