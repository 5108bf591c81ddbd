"""Image files as OpenCV reads and resizes them, which BVLC's data layers and tools do.

Pillow decodes; this file makes of its pictures what ``cv::imread`` gives: uint8, H x W x 3 in BGR
order, or H x W x 1 grey.  Alpha is dropped, palettes are resolved, 16 bits become 8, EXIF rotation
is applied.  Grey differs by format, as each of OpenCV's decoders makes its own.
"""

from __future__ import annotations

import io
import os
import stat
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from caffe.errors import DataError

__all__ = ["decode", "read", "resize"]

FORMATS = ("PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP", "JPEG2000", "GIF")
_LONGEST = 1 << 20  # pixels a side, OpenCV's limit
_JPEG = ("JPEG", "MPO")  # MPO: a JPEG with further pictures behind the first

# Weights of R, G, B in grey, the power of two that they add up to, and what is added to round.
_GREY = {"PNG": (9797, 19234, 3737, 15, 0)}  # libpng cuts off, both the weights and the sum
_GREY.update(dict.fromkeys(("BMP", "PPM", "TIFF", *_JPEG), (4899, 9617, 1868, 14, 1 << 13)))
_GREY_OTHER = (9798, 19235, 3735, 15, 1 << 14)  # of formats that are decoded to BGR first

# Exif orientation → (transpose, flip rows, flip columns) of the array.
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
    LookupError,
    EOFError,
    OverflowError,
    NotImplementedError,
    MemoryError,
    struct.error,
    Image.DecompressionBombError,
    Warning,  # where the caller made errors of Pillow's warnings
)


def read(path: str | os.PathLike[str], color: bool = True) -> np.ndarray:
    """The image in a file: uint8, (H, W, 3) in BGR, or (H, W, 1) grey without ``color``.

    Raises:
        DataError: the file is missing, or is no image that Pillow can decode; names it.
    """
    name = os.fsdecode(path)
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):  # it would be waited for
            raise ValueError("it is a pipe, not a file")
        with open(path, "rb") as stream:
            data = stream.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"Could not open or find file {name}: {reason}") from error
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
    what = f"image {name}" if name else "an image"
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if max(image.size) > _LONGEST:
                raise ValueError(f"{image.size} pixels, more than {_LONGEST} a side")
            if color is None and _has_16_bits(image):
                raise DataError(
                    f"{what} has 16 bits a channel: expected 8, as a datum holds bytes. Convert "
                    "it, or set force_color or force_gray."
                )
            return _array(image, color, data)
    except _DAMAGED as error:
        raise DataError(
            f"Could not decode {what}: {error or type(error).__name__}. Expected a whole "
            f"PNG, JPEG, BMP, PNM or TIFF file, got {len(data)} bytes."
        ) from error


def _array(image: Image.Image, color: bool | None, data: bytes) -> np.ndarray:
    jpeg = image.format in _JPEG
    if color is False and jpeg:
        image.draft("L", image.size)  # the file's own luminance, as libjpeg gives it
    orientation = image.getexif().get(_ORIENTATION_TAG) if jpeg and color is not None else None
    if color is False and image.format == "PNG" and image.mode in ("RGB", "RGBA"):
        if _stored_as(image).startswith("RGB") and _has_16_bits(image):
            pixels = _grey_of_png16(data)
        else:
            pixels = _grey_of_png(_pixels(image), image.info)
    else:
        pixels = _channels(_pixels(image), color, str(image.format))
    transpose, rows, columns = _ORIENTATION.get(orientation or 1, (False, False, False))
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])


def _has_16_bits(image: Image.Image) -> bool:
    return image.mode[0] in "IF" or _stored_as(image).endswith((";16B", ";16L", ";16N"))


def _stored_as(image: Image.Image) -> str:
    """How the file stores pixels, in Pillow's words; empty after loading."""
    tiles = getattr(image, "tile", None)  # of files alone
    mode = tiles[0][3] if tiles else ""
    mode = mode[0] if isinstance(mode, tuple) and mode else mode
    return mode if isinstance(mode, str) else ""


# Modes ------------------------------------------------------------------------------------------


def _pixels(image: Image.Image) -> np.ndarray:
    """The picture as uint8 (H, W, 1, 3 or 4): grey, RGB or RGBA."""
    special = _SPECIAL.get(str(image.format))
    pixels = special(image) if special else None
    if pixels is None:
        pixels = _plain_pixels(image)
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels


def _plain_pixels(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        return (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)  # the high byte
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert({"1": "L", "LA": "RGBA"}.get(image.mode, "RGB"))
    return np.asarray(image)


def _bmp(image: Image.Image) -> np.ndarray | None:
    """15 and 16 bits a pixel: the colours' bits are shifted up, not stretched to 255."""
    mask = {"BGR;15": (0xF8, 0xF8, 0xF8), "BGR;16": (0xF8, 0xFC, 0xF8)}.get(_stored_as(image))
    return None if mask is None else np.asarray(image) & np.array(mask, np.uint8)


def _pnm(image: Any) -> np.ndarray | None:
    """Binary files with a greatest value other than 255: it is ignored, not stretched to 255."""
    codec, (_, _, width, height), offset, arguments = image.tile[0]
    if codec != "ppm":
        return None
    channels = 3 if image.mode == "RGB" else 1
    kind = np.dtype("u1" if arguments[-1] < 256 else ">u2")
    image.fp.seek(offset)
    count = width * height * channels
    values = np.frombuffer(image.fp.read(count * kind.itemsize), kind)
    if values.size < count:
        raise EOFError(f"{count} values expected, the file has {values.size}")
    values = values if kind.itemsize == 1 else (values >> 8).astype(np.uint8)
    return values.reshape(height, width, channels)


def _tiff(image: Image.Image) -> np.ndarray | None:
    """Alpha that stands beside the colours is multiplied into them, as libtiff does."""
    if image.mode != "RGBA" or _has_16_bits(image):
        return None
    pixels = np.asarray(image).astype(np.uint16)
    pixels[:, :, :3] = (pixels[:, :, :3].astype(np.uint32) * pixels[:, :, 3:] + 127) // 255
    return pixels.astype(np.uint8)


def _jpeg(image: Image.Image) -> np.ndarray | None:
    """CMYK in OpenCV's integers; Pillow turns Adobe's inverted inks round, OpenCV does not."""
    if image.mode != "CMYK":
        return None
    inks = np.asarray(image).astype(np.int32)
    if "adobe" in image.info:
        inks = 255 - inks
    black = inks[:, :, 3:]
    return np.clip(black - ((255 - inks[:, :, :3]) * black >> 8), 0, 255).astype(np.uint8)


_SPECIAL: dict[str, Callable[[Image.Image], np.ndarray | None]] = {
    "BMP": _bmp,
    "PPM": _pnm,
    "TIFF": _tiff,
    "JPEG": _jpeg,
    "MPO": _jpeg,
}


# Channels ---------------------------------------------------------------------------------------


def _channels(pixels: np.ndarray, color: bool | None, format: str) -> np.ndarray:
    """Grey, RGB or RGBA as asked for: BGR, grey, or (None) grey, BGR or BGRA."""
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, 2) if color else pixels
    if color is False:
        return _grey(pixels, *_GREY.get(format, _GREY_OTHER))
    return pixels[:, :, 2::-1] if color else pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]


def _grey(pixels: np.ndarray, red: int, green: int, blue: int, bits: int, half: int) -> np.ndarray:
    """(H, W, 1) of (H, W, 3 or 4), of as many bits as the pixels."""
    p = pixels.astype(np.uint32)  # 16 bits times 15 bits fit
    total = p[:, :, :1] * red + p[:, :, 1:2] * green + p[:, :, 2:3] * blue + half
    return (total >> bits).astype(pixels.dtype)


def _grey_of_png(pixels: np.ndarray, info: dict) -> np.ndarray:
    """Grey as libpng makes it; in linear light where the file states its gamma."""
    weights = _GREY["PNG"]
    gamma = 45455 if "srgb" in info else round(info.get("gamma", 1) * 100_000)
    if gamma <= 0 or 95_000 <= gamma <= 105_000:
        return _grey(pixels, *weights)
    to_linear = _gamma_table(_reciprocal(gamma))
    from_linear = _gamma_table(_reciprocal(_reciprocal(gamma)))
    grey = from_linear[_grey(to_linear[pixels[:, :, :3]], *weights[:4], 1 << 14)]
    equal = (pixels[:, :, 0] == pixels[:, :, 1]) & (pixels[:, :, 0] == pixels[:, :, 2])
    return np.where(equal[:, :, np.newaxis], pixels[:, :, :1], grey)


def _reciprocal(gamma: int) -> int:
    return int(1e10 / gamma + 0.5)


def _gamma_table(gamma: int) -> np.ndarray:
    """libpng's table for an exponent in units of 1/100000."""
    table = np.floor(255 * (np.arange(256) / 255.0) ** (gamma * 0.00001) + 0.5)
    return table.astype(np.uint8)


def _grey_of_png16(data: bytes) -> np.ndarray:
    """Grey of 16-bit colours: libpng rounds in 16 bits, then keeps the high byte.

    Pillow keeps one byte of each pair; reading the file as of the other byte order gives the other.
    """
    parts = []
    for order in ("B", "L"):
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            image.tile = [tile._replace(args=f"{image.mode};16{order}") for tile in image.tile]
            parts.append(np.asarray(image).astype(np.uint32))
    grey = _grey(parts[0] << 8 | parts[1], *_GREY["PNG"][:4], 1 << 14)
    return (grey >> 8).astype(np.uint8)


# Resizing ---------------------------------------------------------------------------------------

_ONE = np.float32(1 << 11)  # a weight has 11 bits of fraction


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """A uint8 image (H, W, C) at another size, bilinear, bit for bit OpenCV's INTER_LINEAR.

    Pixels are areas: output x has its centre at (x + 0.5) * W / width - 0.5 of the input, and
    outside the edge pixel counts on.  Nothing is smoothed before it shrinks, except that exact
    halves are means of 2 x 2.

    Raises:
        DataError: no uint8 image, or an empty one or an empty size.
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
        quarters = image.reshape(height, 2, width, 2, -1)
        return ((quarters.sum((1, 3), dtype=np.uint16) + 2) >> 2).astype(np.uint8)

    left, shares = _taps(old_width, width)
    # OpenCV gives edge columns one whole weight, but fetches edge rows twice with both weights.
    shares[(left < 0) | (left >= old_width - 1)] = 0
    left = np.clip(left, 0, old_width - 1)
    right = np.minimum(left + 1, old_width - 1)
    first, second = (w[:, np.newaxis] for w in _weights(shares))

    def rows(index: np.ndarray) -> np.ndarray:
        lines = image[np.clip(index, 0, old_height - 1)].astype(np.int32)
        return (lines[:, left] * first + lines[:, right] * second) >> 4

    top, shares = _taps(old_height, height)
    upper, lower = (w[:, np.newaxis, np.newaxis] for w in _weights(shares))
    total = (rows(top) * upper >> 16) + (rows(top + 1) * lower >> 16)
    return ((total + 2) >> 2).astype(np.uint8)


def _taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each output pixel: the input pixel before its centre, and the share of the one after."""
    scale = 1.0 / (float(new) / old)
    place = ((np.arange(new) + 0.5) * scale - 0.5).astype(np.float32)
    before = np.floor(place)
    return before.astype(np.int64), place - before


def _weights(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both weights of 11 bits, each rounded by itself."""
    first, second = np.rint((np.float32(1) - share) * _ONE), np.rint(share * _ONE)
    return first.astype(np.int32), second.astype(np.int32)
