"""``noise_param`` of SSD's pictures: grey, blurred, equalised, worn by JPEG and other changes.

Pictures are uint8, (C, H, W), channels B, G, R, or one channel.  What OpenCV computes for SSD is
written here with its integer weights; a blur and JPEG may be off by a level or two.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from caffe.errors import LayerError

__all__ = ["noisy", "wrong"]

_GREY = np.array([3735, 19235, 9798])  # of B, G, R, in parts of 2^15
_TILES, _CLIP = 8, 4.0  # of the local equalisation: tiles along each side, and its limit


def wrong(param: Any) -> str:
    """What is wrong with the settings, or nothing."""
    if param.jpeg > 100:
        return f"jpeg is a quality up to 100, got {param.jpeg:g}"
    share = param.saltpepper_param.fraction
    if param.saltpepper and not 0 <= share <= 1:
        return f"saltpepper_param {{ fraction }} is a share, 0 to 1, got {share:g}"
    if param.convert_to_hsv and param.convert_to_lab:
        return "set one of convert_to_hsv and convert_to_lab"
    return ""


def noisy(pixels: np.ndarray, param: Any, draw: Callable[[int], int]) -> np.ndarray:
    """The picture with every change that is switched on, in SSD's order.

    ``draw(n)`` is a random number from 0 to n - 1.
    """
    colour = len(pixels) == 3
    if param.decolorize and colour:
        pixels = np.repeat(_grey(pixels)[None], 3, 0)
    if param.gauss_blur:
        pixels = _blurred(pixels)
    if param.hist_eq:
        pixels = _of_brightness(pixels, _equalised)
    if param.clahe:
        pixels = _of_brightness(pixels, _equalised_by_tiles)
    if param.jpeg > 0:
        pixels = _through_jpeg(pixels, int(param.jpeg))
    if param.erode:
        pixels = _eroded(pixels)
    if param.posterize:
        pixels = pixels // 64 * 64 + 32
    if param.inverse:
        pixels = 255 - pixels
    if param.saltpepper:
        pixels = _salted(pixels, param.saltpepper_param, draw)
    if (param.convert_to_hsv or param.convert_to_lab) and not colour:
        raise LayerError("noise_param: only pictures of three channels become HSV or Lab")
    if param.convert_to_hsv:
        return _hsv(pixels)
    return _lab(pixels) if param.convert_to_lab else pixels


def _grey(pixels: np.ndarray) -> np.ndarray:
    total: np.ndarray = np.tensordot(_GREY, pixels.astype(np.int64), 1)
    return ((total + (1 << 14)) >> 15).astype(np.uint8)


def _blurred(pixels: np.ndarray) -> np.ndarray:
    """By a Gaussian filter of 7 pixels whose deviation is 1.5."""
    places = np.arange(-3, 4)
    weights = np.exp(-(places**2) / (2 * 1.5**2))
    weights /= weights.sum()
    image = pixels.astype(np.float64)
    for axis in (1, 2):
        index = _reflected(places[:, None] + np.arange(image.shape[axis]), image.shape[axis])
        image = sum(w * image.take(row, axis) for w, row in zip(weights, index))
    return np.floor(image + 0.5).astype(np.uint8)


def _reflected(index: np.ndarray, size: int) -> np.ndarray:
    """Places beyond the border turned back, the border itself once (OpenCV's default)."""
    if size == 1:
        return np.zeros_like(index)
    index = np.abs(index) % (2 * size - 2)
    return np.minimum(index, 2 * size - 2 - index)


def _of_brightness(pixels: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The change of a picture's only channel, or of Y where the picture is Y, Cr, Cb."""
    if len(pixels) != 3:
        return np.stack([change(channel) for channel in pixels])
    blue, green, red = pixels.astype(np.int64)
    y = (1868 * blue + 9617 * green + 4899 * red + 8192) >> 14
    cr = (((red - y) * 11682 + (128 << 14) + 8192) >> 14).clip(0, 255) - 128
    cb = (((blue - y) * 9241 + (128 << 14) + 8192) >> 14).clip(0, 255) - 128
    y = change(y.astype(np.uint8)).astype(np.int64)
    half = 1 << 13
    back = [
        y + ((cb * 29049 + half) >> 14),
        y + ((cb * -5636 + cr * -11698 + half) >> 14),
        y + ((cr * 22987 + half) >> 14),
    ]
    return np.stack(back).clip(0, 255).astype(np.uint8)


def _equalised(channel: np.ndarray) -> np.ndarray:
    """Levels spread so that all are about as frequent."""
    counts = np.bincount(channel.reshape(-1), minlength=256)
    first = int(np.flatnonzero(counts)[0])
    if counts[first] == channel.size:
        return channel
    factor = np.float32(255) / np.float32(channel.size - counts[first])
    sums = np.cumsum(counts) - counts[: first + 1].sum()
    levels = np.rint(sums.clip(0).astype(np.float32) * factor).clip(0, 255).astype(np.uint8)
    return levels[channel]


def _equalised_by_tiles(channel: np.ndarray) -> np.ndarray:
    """Contrast-limited equalisation of 8 x 8 tiles, between their middles bilinearly (CLAHE)."""
    height, width = channel.shape
    rows, columns = (-n % _TILES for n in (height, width))
    if rows or columns:  # OpenCV pads both sides then, each by what it lacks of the next multiple
        rows, columns = _TILES - height % _TILES, _TILES - width % _TILES
    tall, wide = (height + rows) // _TILES, (width + columns) // _TILES
    padded = channel[_reflected(np.arange(height + rows), height)][
        :, _reflected(np.arange(width + columns), width)
    ]
    tiles = padded.reshape(_TILES, tall, _TILES, wide).swapaxes(1, 2).reshape(_TILES**2, -1)
    levels = np.stack([_levels_of_tile(tile) for tile in tiles]).reshape(_TILES, _TILES, 256)
    above, below, down = _between_tiles(height, tall)
    left, right, across = _between_tiles(width, wide)

    def at(row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return levels[row[:, None], column[None], channel].astype(np.float32)

    upper = at(above, left) * (1 - across) + at(above, right) * across
    lower = at(below, left) * (1 - across) + at(below, right) * across
    mixed = upper * (1 - down[:, None]) + lower * down[:, None]
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def _levels_of_tile(values: np.ndarray) -> np.ndarray:
    """A tile's new levels, from counts of which none is above the limit."""
    counts = np.bincount(values, minlength=256)
    limit = max(int(_CLIP * values.size / 256), 1)
    beyond = int((counts - limit).clip(0).sum())
    counts = counts.clip(max=limit) + beyond // 256
    rest = beyond % 256
    if rest:
        step = max(256 // rest, 1)
        counts[: step * rest : step] += 1
    sums = np.cumsum(counts).astype(np.float32) * np.float32(255 / values.size)
    return np.rint(sums).clip(0, 255).astype(np.uint8)


def _between_tiles(size: int, tile: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel the tiles before and behind it, and the share of the latter."""
    place = np.arange(size, dtype=np.float32) * np.float32(1 / tile) - np.float32(0.5)
    before = np.floor(place).astype(int)
    share = place - before
    return before.clip(min=0), (before + 1).clip(max=_TILES - 1), share.astype(np.float32)


def _through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """Written as a JPEG file and read again."""
    colour = len(pixels) == 3
    array = pixels[::-1].transpose(1, 2, 0) if colour else pixels[0]
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(stream, "JPEG", quality=max(quality, 1))
    stream.seek(0)
    with Image.open(stream) as file:
        read = np.array(file)
    return np.ascontiguousarray(read.transpose(2, 0, 1)[::-1]) if colour else read[None]


def _eroded(pixels: np.ndarray) -> np.ndarray:
    """The least of each pixel and its four neighbours."""
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1)), constant_values=255)
    middle = padded[:, 1:-1, 1:-1]
    rows = np.minimum(padded[:, :-2, 1:-1], padded[:, 2:, 1:-1])
    columns = np.minimum(padded[:, 1:-1, :-2], padded[:, 1:-1, 2:])
    return np.minimum(middle, np.minimum(rows, columns))


def _salted(pixels: np.ndarray, param: Any, draw: Callable[[int], int]) -> np.ndarray:
    """A share of the pixels, at random and some perhaps twice, of one colour: black, or
    ``value``."""
    channels, height, width = pixels.shape
    values = list(param.value) or [0]
    if len(values) not in (1, channels):
        raise LayerError(
            f"saltpepper_param {{ value }} is given once, or for each of {channels} channels; got "
            f"{len(values)}"
        )
    pixels = pixels.copy()
    for _ in range(int(np.floor(np.float32(param.fraction) * height * width))):
        column, row = draw(width), draw(height)
        pixels[:, row, column] = values
    return pixels


def _hsv(pixels: np.ndarray) -> np.ndarray:
    """Hue in steps of 2 degrees, saturation and value, as bytes."""
    blue, green, red = image = pixels.astype(np.float64)
    value, reach = image.max(0), np.ptp(image, 0)
    safe = np.where(reach > 0, reach, 1)
    sixth = np.select(
        [value == red, value == green],
        [(green - blue) / safe, 2 + (blue - red) / safe],
        4 + (red - green) / safe,
    )
    hue = np.rint(30 * np.where(reach > 0, sixth, 0)) % 180
    saturation = np.rint(255 * np.divide(reach, value, out=np.zeros_like(value), where=value > 0))
    return np.stack([hue, saturation, value]).astype(np.uint8)


def _lab(pixels: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of sRGB under D65, float32: L from 0 to 100."""
    image = pixels[::-1].astype(np.float64) / 255
    linear = np.where(image > 0.04045, ((image + 0.055) / 1.055) ** 2.4, image / 12.92)
    to_xyz = np.array(
        [
            [0.412453, 0.357580, 0.180423],
            [0.212671, 0.715160, 0.072169],
            [0.019334, 0.119193, 0.950227],
        ]
    )
    xyz = np.tensordot(to_xyz, linear, 1) / np.array([0.950456, 1, 1.088754]).reshape(3, 1, 1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lightness = np.where(xyz[1] > 0.008856, 116 * f[1] - 16, 903.3 * xyz[1])
    return np.stack([lightness, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])]).astype(np.float32)
