"""Pictures: any image file read as upright RGB; labels laid over the image, and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from fcn.fonts import drawable, font_for, text_width
from segdata.images import read_first

__all__ = [
    "LEAST",
    "OPACITY",
    "beside",
    "class_shares",
    "overlay",
    "read_first_photo",
    "read_photo",
    "with_legend",
]

#: How much of the class's colour covers the photo, from 0 to 1, unless the user says otherwise.
OPACITY = 0.6
#: Shares below are neither in the legend nor printed as a number.
LEAST = 0.001
MARGIN, SWATCH, TEXT = 6, 14, 12  # pixels, before scaling


def read_photo(path: str, file: Any = None) -> np.ndarray:
    """The image in ``path`` as it should be seen: uint8 (H, W, 3), EXIF rotation applied.

    Grey, palette, transparent (laid over white), CMYK and 16-bit images are converted; of an
    animation it is the first frame.  ``file``: a file object to read, which ``path`` then names.
    Raises segdata's DataError, which names the file.
    """
    return read_first_photo(path, file)[0]


def read_first_photo(path: str, file: Any = None) -> tuple[np.ndarray, int]:
    """As `read_photo`, and how many pictures the file holds."""
    image, several = read_first(path, file)
    return np.array(image), several


def class_shares(label: np.ndarray) -> list[tuple[int, float]]:
    """(class, fraction of the pixels) of the classes found, the largest first."""
    counts = np.bincount(label.ravel(), minlength=256)
    order = sorted(np.flatnonzero(counts), key=lambda c: (-counts[c], c))
    return [(int(c), counts[c] / label.size) for c in order]


def overlay(
    pixels: np.ndarray,
    label: np.ndarray,
    palette: np.ndarray,
    untouched: int = -1,
    opacity: float = OPACITY,
) -> np.ndarray:
    """RGB pixels tinted by their class's colour, and outlines between classes in the full colour.

    The tint keeps the photo's brightness, for most palettes are dark: a pixel becomes
    (1 - opacity)·pixel + opacity·(colour + brightness of the pixel - brightness of the colour).
    Class ``untouched`` stays as it is, and so does every class whose colour is black.
    """
    height, width = label.shape
    line = max(1, round(max(height, width) / 800))
    weight = round(256 * opacity)
    tint = (palette.astype(np.int32) - _brightness(palette)) * weight
    bare = np.logical_not(palette.any(axis=1))
    if untouched >= 0:
        bare[untouched] = True
    result = np.empty_like(pixels)
    rows = max(1, (1 << 20) // max(1, width))  # in strips: large photos stay cheap
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        part, numbers = pixels[top:bottom], label[top:bottom]
        blend = part.astype(np.int32) * (256 - weight) + _brightness(part) * weight + tint[numbers]
        blend = np.clip((blend + 128) >> 8, 0, 255).astype(np.uint8)
        above, below = max(0, top - line), min(height, bottom + line)
        edge = _outlines(label[above:below], line)[top - above : bottom - above]
        blend[edge] = palette[numbers[edge]]
        keep = bare[numbers]
        blend[keep] = part[keep]
        result[top:bottom] = blend
    return result


def _brightness(colours: np.ndarray) -> np.ndarray:
    """The luma of RGB colours (ITU-R BT.601), int32 (…, 1)."""
    return (colours @ np.array((77, 150, 29), np.int32) >> 8)[..., None]


def _outlines(label: np.ndarray, line: int) -> np.ndarray:
    """Where another class lies within ``line`` pixels above, below, left or right: bool (H, W)."""
    edge = np.zeros(label.shape, bool)
    for axis in (0, 1):
        ahead, behind = [slice(None)] * 2, [slice(None)] * 2
        ahead[axis], behind[axis] = slice(line, None), slice(None, -line)
        differ = label[tuple(ahead)] != label[tuple(behind)]
        edge[tuple(ahead)] |= differ
        edge[tuple(behind)] |= differ
    return edge


def with_legend(
    picture: np.ndarray, label: np.ndarray, names: Sequence[str], palette: np.ndarray, rows: int = 0
) -> Image.Image:
    """The overlay with a strip below it that names the classes found, their looks and shares.

    A class looks in the strip as it does in the overlay: its median there, framed by its colour.
    ``rows``: how many the strip has, whatever is found; 0: as many as are needed.
    """
    height, width = picture.shape[:2]
    strip = _legend(max(width, 160), max(1, width / 800), picture, label, names, palette, rows)
    canvas = Image.new("RGB", (strip.width, height + strip.height), (255, 255, 255))
    canvas.paste(Image.fromarray(picture), (0, 0))
    canvas.paste(strip, (0, height))
    return canvas


def beside(pixels: np.ndarray, overlaid: Image.Image) -> Image.Image:
    """The photo, and right of it its overlay, whose legend may make it higher."""
    height, width = pixels.shape[:2]
    size = width + MARGIN + overlaid.width, max(height, overlaid.height)
    canvas = Image.new("RGB", size, (255, 255, 255))
    canvas.paste(Image.fromarray(pixels), (0, 0))
    canvas.paste(overlaid, (width + MARGIN, 0))
    return canvas


def _legend(
    width: int,
    factor: float,
    picture: np.ndarray,
    label: np.ndarray,
    names: Sequence[str],
    palette: np.ndarray,
    rows: int,
) -> Image.Image:
    found = class_shares(label)
    shown = [(c, share) for c, share in found if share >= LEAST]
    cells: list[tuple[int | None, str]] = [(c, f"{names[c]} {share:.1%}") for c, share in shown]
    if len(shown) < len(found):
        cells.append((None, f"{len(found) - len(shown)} more below {LEAST:.1%}"))
    font, of_size = font_for(round(TEXT * factor), [text for _, text in cells])
    cells = [(c, drawable(text, font)) for c, text in cells]
    # Older Pillow has one font of one size: the strip is drawn small and enlarged then.
    scale, width = (factor, width) if of_size else (1.0, max(160, round(width / factor)))
    margin, swatch = round(MARGIN * scale), round(SWATCH * scale)
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))
    places, x, y = [], margin, margin
    for c, text in cells:
        cell = int(text_width(probe, text, font)) + 2 * margin
        cell += 0 if c is None else swatch + margin
        if x > margin and x + cell > width:
            x, y = margin, y + swatch + margin
        places.append((x, y))
        x += cell
    height = margin + rows * (swatch + margin) if rows else y + swatch + margin
    strip = Image.new("RGB", (width, height), (255, 255, 255))
    pen = ImageDraw.Draw(strip)
    for (x, y), (c, text) in zip(places, cells):
        if c is not None:
            box = (x, y, x + swatch, y + swatch)
            pen.rectangle(box, fill=_look(picture, label, c))
            frame = tuple(int(v) for v in palette[c]) if palette[c].any() else (90, 90, 90)
            for inset in range(max(1, round(2 * scale))):
                pen.rectangle([v + s * inset for v, s in zip(box, (1, 1, -1, -1))], outline=frame)
            x += swatch + margin
        pen.text(
            (x, y + max(0, swatch - round(TEXT * scale)) // 2), text, fill=(20, 20, 20), font=font
        )
    if not of_size and factor > 1:
        strip = strip.resize([round(v * factor) for v in strip.size], Image.BICUBIC)
    return strip


def _look(picture: np.ndarray, label: np.ndarray, number: int) -> tuple[int, int, int]:
    """The median colour of a class in the overlay, from about 100,000 pixels at most."""
    step = max(1, int((label.size / 1e5) ** 0.5))
    few, classes = picture[::step, ::step], label[::step, ::step]
    if not (classes == number).any():
        few, classes = picture, label
    red, green, blue = (int(v) for v in np.median(few[classes == number], axis=0))
    return red, green, blue
