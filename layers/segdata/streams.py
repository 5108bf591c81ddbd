"""What one top serves: how its files are read, and how their pixels become Caffe's array."""

from typing import Any, Callable, Optional

import numpy as np
from PIL import Image

from segdata.errors import DataError
from segdata.images import IGNORE, check_label, open_image, read_rgb, refuse_turned

__all__ = [
    "ColorStream",
    "DepthStream",
    "HHAStream",
    "LabelStream",
    "Stream",
    "read_depth",
    "read_hha",
]


class Stream:
    """One kind of file of an entry, and the top that it becomes.

    A subclass says how to ``read`` a file to a Pillow image and how to ``fill`` an array from that.
    """

    #: What the files are called in messages.
    what = "image"
    #: Channels, type, and what the top holds beyond the image's border.
    channels, padding = 3, 0
    dtype: Any = np.float32
    #: Whether they are photographs, whose colours other light or another camera changes.
    photographs = False
    #: Whether the files hold bytes, each of which is one number of the top: `table` says which.
    levels = False
    #: How pixels are mixed when the image is scaled.
    resampling = Image.BILINEAR

    def read(self, path: str) -> Image.Image:
        """The decoded file; DataError when it cannot be used."""
        raise TypeError(f"{type(self).__name__} must define read()")

    def fill(self, out: np.ndarray, pixels: np.ndarray, gain: Optional[tuple]) -> None:
        """Write ``pixels``, (h, w) or (h, w, 3), to ``out``, (channels, h, w)."""
        raise TypeError(f"{type(self).__name__} must define fill()")

    def planes(self, pixels: np.ndarray) -> np.ndarray:
        """``pixels``, (h, w, 3), as (channels, h, w) in the order of the top."""
        return pixels.transpose(2, 0, 1)

    def table(self, gain: Optional[tuple]) -> np.ndarray:
        """What each byte becomes: float32 (channels, 256), by `fill` itself."""
        every = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], self.channels, axis=2)
        out = np.empty((self.channels, 1, 256), np.float32)
        self.fill(out, every, gain)
        return out[:, 0]

    def write(
        self,
        out: np.ndarray,
        pixels: np.ndarray,
        at: tuple[int, int] = (0, 0),
        gain: Optional[tuple[float, float, float]] = None,
    ) -> None:
        """Write ``pixels`` into ``out`` (channels, H, W) from row and column ``at``; pad the rest.

        ``gain`` is that of segdata.augment.View.
        """
        height, width = pixels.shape[:2]
        if (height, width) != out.shape[1:]:
            out[...] = self.padding
        y, x = at
        self.fill(out[:, y : y + height, x : x + width], pixels, gain)


class ColorStream(Stream):
    """A photograph as BGR minus ``mean`` (B, G, R); the difference is rounded once, to float32."""

    photographs = True
    levels = True

    def __init__(self, mean: np.ndarray) -> None:
        self.mean = mean[:, None, None]

    def read(self, path: str) -> Image.Image:
        return read_rgb(path)

    def planes(self, pixels):
        return pixels[:, :, ::-1].transpose(2, 0, 1)

    def fill(self, out, pixels, gain) -> None:
        values = self.planes(pixels)
        if gain is not None:
            values = np.minimum(values * np.asarray(gain, np.float32)[:, None, None], 255)
        np.subtract(values, self.mean, out=out, casting="same_kind")


class HHAStream(Stream):
    """An HHA image (see data/preparing/hha.py), minus ``mean``, both in the order of its file."""

    what = "HHA"
    levels = True

    def __init__(self, mean: np.ndarray) -> None:
        self.mean = mean[:, None, None]

    def read(self, path: str) -> Image.Image:
        return read_hha(path)

    def fill(self, out, pixels, gain) -> None:
        np.subtract(self.planes(pixels), self.mean, out=out, casting="same_kind")


class DepthStream(Stream):
    """A 16-bit depth image: the natural logarithm of its values, minus ``mean``.

    Zero, which sensors give for no measurement, has no logarithm: it is an error, or with
    ``nearest`` all smaller depths are raised to that.
    """

    what = "depth"
    channels = 1

    def __init__(self, mean: float, nearest: Optional[float] = None) -> None:
        self.mean, self.nearest = np.float32(mean), nearest

    def read(self, path: str) -> Image.Image:
        return read_depth(path, self.nearest)

    def fill(self, out, pixels, gain) -> None:
        np.log(pixels, out=out[0])
        out -= self.mean


class LabelStream(Stream):
    """Class numbers, 255 = ignored; ``read_label`` reads them: path → uint8 (H, W)."""

    what = "label"
    channels, dtype, padding = 1, np.uint8, IGNORE
    resampling = Image.NEAREST

    def __init__(self, read_label: Callable[[str], np.ndarray], classes: int) -> None:
        self.read_label, self.classes = read_label, classes

    def read(self, path: str) -> Image.Image:
        label = self.read_label(path)
        check_label(label, self.classes, path)
        return Image.fromarray(label)

    def fill(self, out, pixels, gain) -> None:
        out[0] = pixels


def read_hha(path: str) -> Image.Image:
    """An HHA image, 8 bits and three channels, which are no colours and so never converted."""
    with open_image(path, "HHA") as image:
        refuse_turned(image, path, "HHA")
        if image.mode != "RGB":
            raise DataError(
                f"HHA '{path}' is a {image.mode} image; expected three channels of 8 bits"
            )
        return image.copy()


def read_depth(path: str, nearest: Optional[float] = None) -> Image.Image:
    """A 16-bit grey image as floating point, every value above 0 (see DepthStream)."""
    with open_image(path, "depth") as image:
        refuse_turned(image, path, "depth")
        if not image.mode.startswith("I"):  # I;16, or I: how older Pillow opens a 16-bit PNG
            raise DataError(
                f"depth '{path}' is a {image.mode} image; expected 16-bit grey levels, "
                "the depth in millimetres"
            )
        depth = np.array(image).astype(np.float32)
    if nearest is not None:
        depth = np.maximum(depth, np.float32(nearest))
    bad = depth <= 0
    if bad.any():
        y, x = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"depth '{path}' holds {depth[y, x]:g} at x={x}, y={y} "
            f"({np.count_nonzero(bad)} pixels), which has no logarithm; fill in what "
            "was not measured, or set 'nearest' to raise it to that depth"
        )
    return Image.fromarray(depth)
