"""Image files as OpenCV reads and resizes them, which BVLC's data layers and tools do.

Pillow decodes; this file makes of its pictures what ``cv::imread`` gives: uint8, H x W x 3 in BGR
order, or H x W x 1 grey.  Alpha is dropped, palettes are resolved, 16 bits become 8, EXIF rotation
is applied.  Grey differs by format, as each of OpenCV's decoders makes its own.
"""

from __future__ import annotations

import io
import os
import struct
from typing import Any

import numpy as np
from PIL import Image

from caffe.errors import DataError

__all__ = ["decode", "read", "resize"]

# Weights of R, G, B in grey, and the power of two that they add up to.
_GREY_PNG = (9797, 19234, 3737, 15)  # libpng's, of 0.299 and 0.587 in 15 bits, cut off
_GREY_OTHER = (4899, 9617, 1868, 14)  # BMP, PNM, TIFF
_GREY_CONVERT = (9798, 19235, 3735, 15)  # cvtColor, for the formats that are decoded to BGR first
_BMP_HIGH_COLOUR = {"BGR;15": 0xF8F8F8, "BGR;16": 0xF8FCF8}

# Exif orientation → (transpose, flip rows, flip columns) of the array
_ORIENTATION = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
_ORIENTATION_TAG = 0x0112

# What Pillow's decoders raise on damaged files.
_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    NotImplementedError,
    struct.error,
    Image.DecompressionBombError,
)


def read(path: str | os.PathLike, color: bool = True) -> np.ndarray:
    """The image in a file: uint8, (H, W, 3) in BGR, or (H, W, 1) grey without ``color``.

    Raises:
        DataError: the file is missing, or is no image that Pillow can decode; names it.
    """
    name = os.fsdecode(path)
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"Could not open or find file {name}: {reason}. Paths in lists are relative to "
            "root_folder, else to the working directory."
        ) from error
    return decode(data, color, name)


def decode(data: bytes, color: bool | None = True, name: str = "") -> np.ndarray:
    """The image in the bytes of an image file: uint8, (H, W, C).

    Args:
        color: True for three channels in BGR, False for one of grey, None for what the file has
            (1, 3, or 4 with alpha; no EXIF rotation, as OpenCV's IMREAD_UNCHANGED).
        name: what the data are, for errors.

    Raises:
        DataError: the bytes are no image, or with ``color`` None one of 16 bits.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return _array(image, color, name)
    except _DAMAGED as error:
        what = name or "the data"
        raise DataError(
            f"Could not decode image {what}: {error or type(error).__name__}. Expected a whole "
            f"PNG, JPEG, BMP, PNM or TIFF file, got {len(data)} bytes."
        ) from error


def _array(image: Image.Image, color: bool | None, name: str) -> np.ndarray:
    if color is False and image.format == "JPEG":
        image.draft("L", image.size)  # the luminance plane of the file, as libjpeg gives it
    jpeg, depth16 = image.format == "JPEG", _has_16_bits(image)
    if color is None and depth16:
        raise DataError(
            f"{name or 'the image'} has 16 bits a channel: expected 8 (a datum holds bytes). "
            "Convert it, or set force_color or force_gray."
        )
    orientation = image.getexif().get(_ORIENTATION_TAG) if jpeg and color is not None else None
    image.load()
    pixels = _pixels(image)  # (H, W, C): grey, RGB or RGBA
    if color is False:
        pixels = _grey(pixels, image.format)
    elif color:
        pixels = np.repeat(pixels, 3, 2) if pixels.shape[2] < 3 else pixels[:, :, 2::-1]
    elif pixels.shape[2] >= 3:
        pixels = pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]
    transpose, rows, columns = _ORIENTATION.get(orientation, (False, False, False))
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])


def _has_16_bits(image: Image.Image) -> bool:
    mode = image.tile[0].args if image.tile else None
    mode = mode[0] if isinstance(mode, tuple) and mode else mode
    return image.mode[0] in "IF" or (
        isinstance(mode, str) and "16" in mode.partition(";")[2] and not mode.startswith("BGR")
    )


def _pixels(image: Image.Image) -> np.ndarray:
    """The picture as uint8 of 1, 3 or 4 channels."""
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode == "LA":
        image = image.convert("RGBA")
    elif image.mode == "CMYK":
        return _from_cmyk(np.asarray(image), "adobe" in image.info)
    elif image.mode.startswith("I"):
        return _from_16_bits(np.asarray(image), image.format)[:, :, np.newaxis]
    elif image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGB")
    pixels = np.asarray(image)
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels


def _from_16_bits(values: np.ndarray, format: Any) -> np.ndarray:
    """Grey of 16 bits in 8: libtiff rounds, the other decoders keep the high byte."""
    values = values.astype(np.uint32)
    return (values >> 8).astype(np.uint8)


def _from_cmyk(pixels: np.ndarray, inverted: bool) -> np.ndarray:
    """RGB of CMYK in OpenCV's integers; Pillow turns Adobe's inverted inks round, OpenCV not."""
    inks = pixels.astype(np.int32)
    if inverted:
        inks = 255 - inks
    black = inks[:, :, 3:]
    return np.clip(black - ((255 - inks[:, :, :3]) * black >> 8), 0, 255).astype(np.uint8)


def _grey(pixels: np.ndarray, format: Any) -> np.ndarray:
    """(H, W, 1), rounded as the decoder of this format does."""
    if pixels.shape[2] == 1:
        return pixels
    known = {
        "PNG": _GREY_PNG,
        "BMP": _GREY_OTHER,
        "PPM": _GREY_OTHER,
        "TIFF": _GREY_OTHER,
        "JPEG": _GREY_OTHER,
    }
    red, green, blue, bits = known.get(format, _GREY_CONVERT)
    half = 0 if format == "PNG" else 1 << (bits - 1)  # libpng cuts off
    p = pixels.astype(np.int32)
    total = p[:, :, 0] * red + p[:, :, 1] * green + p[:, :, 2] * blue + half
    return (total >> bits).astype(np.uint8)[:, :, np.newaxis]


# Resizing ---------------------------------------------------------------------------------------

_BITS = 11  # of a weight's fraction
_ONE = 1 << _BITS


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """A uint8 image (H, W, C) at another size, bilinear, bit for bit OpenCV's INTER_LINEAR.

    Pixels are areas: output x has its centre at (x + 0.5) * W / width - 0.5 of the input, and
    outside the edge pixel counts on.  Nothing is smoothed before it shrinks, except that exact
    halves are means of 2 x 2.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or min(*image.shape, height, width) < 1:
        raise DataError(
            f"cannot resize an array of {image.dtype} {image.shape} to {height} x {width}: "
            "expected a uint8 image (H, W, C) and a positive size"
        )
    old_height, old_width = image.shape[:2]
    if (old_height, old_width) == (height, width):
        return image.copy()
    if (old_height, old_width) == (2 * height, 2 * width):
        quarters = image.reshape(height, 2, width, 2, -1).astype(np.uint16)
        return ((quarters.sum((1, 3), dtype=np.uint16) + 2) >> 2).astype(np.uint8)
    left, right_weight = _taps(old_width, width, clamp_weight=True)
    top, bottom_weight = _taps(old_height, height, clamp_weight=False)

    def row(index: np.ndarray) -> np.ndarray:
        lines = image[np.clip(index, 0, old_height - 1)].astype(np.int32)
        first, second = (_weights(right_weight)[k][:, np.newaxis] for k in (0, 1))
        right = np.minimum(left + 1, old_width - 1)
        return (lines[:, left] * first + lines[:, right] * second) >> 4

    first, second = (_weights(bottom_weight)[k][:, np.newaxis, np.newaxis] for k in (0, 1))
    total = (row(top) * first >> 16) + (row(top + 1) * second >> 16)
    return ((total + 2) >> 2).astype(np.uint8)


def _taps(old: int, new: int, clamp_weight: bool) -> tuple[np.ndarray, np.ndarray]:
    """Of each output pixel: the input pixel before its centre, and the share of the one after."""
    scale = 1.0 / (float(new) / old)
    place = ((np.arange(new) + 0.5) * scale - 0.5).astype(np.float32)
    before = np.floor(place).astype(np.int64)
    share = place - before.astype(np.float32)
    if clamp_weight:  # OpenCV clamps columns here, rows only where it fetches them
        share[(before < 0) | (before >= old - 1)] = 0
        before = np.clip(before, 0, old - 1)
    return before, share


def _weights(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both weights of 11 bits, each rounded by itself, so that they may miss 2048 by one."""
    return tuple(
        np.rint(s * np.float32(_ONE)).astype(np.int32) for s in (np.float32(1) - share, share)
    )
