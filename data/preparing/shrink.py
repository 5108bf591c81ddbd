"""Smaller copies of large images and of their masks, for nets that see a few hundred pixels."""

import os

import numpy as np
from PIL import Image

from fcn.palette import save_atomic, save_label_png
from segdata.errors import DataError
from segdata.images import read_label, read_rgb

__all__ = ["shrink"]


def shrink(
    image: str, mask: str, image_out: str, mask_out: str, longest: int, palette: np.ndarray
) -> None:
    """Write copies at most `longest` pixels wide and high: a JPEG, and a PNG of class numbers.

    Images are averaged, of masks the nearest pixel
    is taken, so classes stay what they are. DataError where the two differ in size.
    """
    photo, label = read_rgb(image), read_label(mask)
    if label.shape != (photo.height, photo.width):
        raise DataError(
            f"'{image}' is {photo.width}x{photo.height}, its mask {label.shape[1]}x{label.shape[0]}"
        )
    factor = min(1, longest / max(photo.size))
    size = (max(1, round(photo.width * factor)), max(1, round(photo.height * factor)))
    small = Image.fromarray(label)
    if factor < 1:
        photo = photo.resize(size, Image.LANCZOS)
        small = small.resize(size, Image.NEAREST)
    for path in (image_out, mask_out):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    save_atomic(photo, image_out, "JPEG", quality=95, subsampling=0)
    save_label_png(mask_out, np.asarray(small), palette)
