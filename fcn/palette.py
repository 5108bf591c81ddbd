"""Colours of labels: PASCAL VOC's colour map, and label maps as palette PNGs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from fcn.atomic import replacing

__all__ = ["save_atomic", "save_label_png", "voc_palette", "with_colours"]


def voc_palette(n: int = 256) -> np.ndarray:
    """The first ``n`` colours of PASCAL VOC's map: uint8 (n, 3), RGB.

    The label's bits are dealt out to R, G, B in turn, from its lowest bit and from each channel's
    highest, so that near labels get distant colours.

    >>> voc_palette(3).tolist()
    [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    """
    labels = np.arange(n)
    colours = np.zeros((n, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            value = labels >> (3 * bit + channel) & 1
            colours[:, channel] |= (value << (7 - bit)).astype(np.uint8)
    return colours


def with_colours(
    colours: Sequence[Sequence[int]], ignored: Sequence[int] = (224, 224, 192)
) -> np.ndarray:
    """A palette (256, 3) that begins with ``colours``; the rest is VOC's, 255 is ``ignored``."""
    palette = voc_palette()
    palette[: len(colours)] = colours
    palette[255] = ignored
    return palette


def save_label_png(path: str, label: np.ndarray, palette: np.ndarray) -> None:
    """Write ``label``, uint8 (H, W), as a palette PNG whose indices are the labels.

    All 256 colours are written: with fewer, Pillow may renumber the indices or pack them into
    fewer bits.
    """
    if label.dtype != np.uint8 or label.ndim != 2:
        raise ValueError(
            f"expected a label map of uint8 (H, W); received {label.dtype} {label.shape}"
        )
    if palette.shape != (256, 3):
        raise ValueError(f"expected a palette of (256, 3); received {palette.shape}")
    image = Image.fromarray(np.ascontiguousarray(label))
    image.putpalette(np.asarray(palette, np.uint8).tobytes())
    save_atomic(image, path, "PNG", optimize=False)


def save_atomic(image: Image.Image, path: str, kind: str, **options: Any) -> None:
    """Save an image so that the file is whole or absent."""
    with replacing(path, durable=False) as temporary:
        image.save(temporary, kind, **options)
