"""Masks that are not class numbers yet: colours, or grey values that stand for classes."""

from typing import Callable, Optional

import numpy as np

from data.preparing.colours import IGNORE, ColourMap
from segdata.errors import DataError
from segdata.images import open_image, orientation, refuse_turned

__all__ = ["by_colours", "by_values", "colours_in", "is_turned", "suspicious", "turned_text"]

#: Path of a mask → labels, uint8 (H, W); ValueError names file, value and pixel,
#: segdata's DataError a file that cannot be read.
Reader = Callable[[str], np.ndarray]


def by_colours(labels: dict[tuple[int, int, int], int]) -> Reader:
    """Reads masks whose colours are those of a palette file (see `colours.read_colours`)."""
    colours = ColourMap(labels)

    def read(path: str) -> np.ndarray:
        with open_image(path, "mask") as image:
            refuse_turned(image, path, "mask")
            mask = np.asarray(image.convert("RGB"))
        label, unknown = colours(mask)
        if unknown.any():
            y, x = (int(i) for i in np.argwhere(unknown)[0])
            colour, count = tuple(int(v) for v in mask[y, x]), int(unknown.sum())
            raise ValueError(
                f"'{path}' has the colour {colour} at x={x}, y={y} ({count} pixels of "
                "unknown colours), which the palette file does not name"
            )
        return label

    return read


def by_values(values: list[int], ignored: list[int]) -> Reader:
    """Reads grey masks: ``values[i]`` is class i, those in ``ignored`` become 255."""
    labels = {value: IGNORE for value in ignored}
    labels.update((value, i) for i, value in enumerate(values))

    def read(path: str) -> np.ndarray:
        raw = _grey(path)
        label = np.full(raw.shape, IGNORE, np.uint8)
        known = np.zeros(raw.shape, bool)
        for value, number in labels.items():
            here = raw == value
            label[here] = number
            known |= here
        if not known.all():
            y, x = (int(i) for i in np.argwhere(~known)[0])
            raise ValueError(
                f"'{path}' holds {raw[y, x]} at x={x}, y={y} ({int((~known).sum())} "
                "pixels of unknown values), which --values does not name"
            )
        return label

    return read


def _grey(path: str) -> np.ndarray:
    """The numbers of a mask of one channel, or of three equal ones: int (H, W)."""
    with open_image(path, "mask") as image:
        refuse_turned(image, path, "mask")
        if image.mode == "1":
            return np.asarray(image).astype(np.int64) * 255
        if image.mode in ("L", "P") or image.mode.startswith("I"):
            return np.asarray(image).astype(np.int64)
        mask = np.asarray(image.convert("RGB")).astype(np.int64)
        mode = image.mode
    differ = (mask != mask[:, :, :1]).any(axis=2)
    if differ.any():
        y, x = (int(i) for i in np.argwhere(differ)[0])
        raise ValueError(
            f"'{path}' is a {mode} image in colours, {tuple(mask[y, x].tolist())} at "
            f"x={x}, y={y}; --rgb FILE says which colour is which class"
        )
    return mask[:, :, 0]


def colours_in(path: str, limit: int = 8) -> list[tuple[tuple[int, ...], float]]:
    """The most frequent colours of an image and their shares in percent."""
    with open_image(path, "mask") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:limit]
    return [(tuple(int(v) for v in colours[i]), 100 * int(counts[i]) / len(pixels)) for i in order]


def is_turned(image: str) -> bool:
    """Whether an image is stored otherwise than it is seen (EXIF); False if it cannot be read."""
    try:
        with open_image(image, decode=False) as opened:
            return orientation(opened) > 1
    except DataError:
        return False


def turned_text(images: list[str]) -> str:
    """What there is to know of images that are."""
    return (
        f"{len(images)} images are stored turned (EXIF orientation), the first: '{images[0]}'; "
        "they are read upright, as viewers show them, and their masks must be upright too"
    )


def suspicious(path: str) -> Optional[str]:
    """What of a mask's file makes its values doubtful, or None."""
    with open_image(path, "mask", decode=False) as image:
        if image.format == "JPEG":
            return "is a JPEG, whose compression changes class numbers; save masks as PNG"
    return None
