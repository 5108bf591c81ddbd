"""``resize_param`` of SSD: sizes that keep a picture's shape or not, and what becomes of boxes.

Sizes are (height, width).  Boxes are float32, G x 4: xmin, ymin, xmax, ymax in shares.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from caffe.data import image_files
from caffe.errors import DataError
from caffe.proto import caffe_pb2

_RESIZE = caffe_pb2.ResizeParameter
_FILTERS: dict[int, Any] = {
    _RESIZE.AREA: Image.Resampling.BOX,
    _RESIZE.NEAREST: Image.Resampling.NEAREST,
    _RESIZE.CUBIC: Image.Resampling.BICUBIC,
    _RESIZE.LANCZOS4: Image.Resampling.LANCZOS,
}
_PADS: dict[int, Any] = {_RESIZE.MIRRORED: "reflect", _RESIZE.REPEAT_NEAREST: "edge"}

Size = tuple[int, int]


def new_size(old: Size, param: Any) -> tuple[Size, Size]:
    """The size that a picture is scaled to, and the size that it has in the end, with a border."""
    wanted = (param.height, param.width)
    if param.resize_mode == _RESIZE.WARP:
        return wanted, wanted
    aspect = np.float32(old[1]) / np.float32(old[0])
    wide = aspect > np.float32(wanted[1]) / np.float32(wanted[0])
    small = param.resize_mode == _RESIZE.FIT_SMALL_SIZE
    if bool(wide) != small:  # the width is as wanted, the height follows
        scaled = (max(1, int(np.float32(wanted[1]) / aspect)), wanted[1])
    else:
        scaled = (wanted[0], max(1, int(aspect * np.float32(wanted[0]))))
    return scaled, (scaled if small else wanted)


def resized(pixels: np.ndarray, param: Any, mode: int) -> np.ndarray:
    """A picture (C, H, W), uint8, at the new size; ``mode`` is an ``Interp_mode``."""
    (height, width), whole = new_size((pixels.shape[1], pixels.shape[2]), param)
    if mode == _RESIZE.LINEAR:
        image = np.ascontiguousarray(pixels.transpose(1, 2, 0))
        image = image_files.resize(image, height, width).transpose(2, 0, 1)
    else:
        planes = [Image.fromarray(p).resize((width, height), _FILTERS[mode]) for p in pixels]
        image = np.stack([np.asarray(p) for p in planes])
    rest = [n - m for n, m in zip(whole, (height, width))]
    if not any(rest):
        return image
    borders = [(0, 0), *((n // 2, n - n // 2) for n in rest)]
    if param.pad_mode in _PADS:
        return np.pad(image, borders, mode=_PADS[param.pad_mode])
    colour = list(param.pad_value) or [0.0]
    if len(colour) not in (1, len(image)):
        raise DataError(
            f"Specify either 1 pad_value or as many as channels: got {len(colour)} for "
            f"{len(image)} channels"
        )
    colour = colour * len(image) if len(colour) == 1 else colour
    bordered = np.empty((len(image), *whole), np.uint8)
    bordered[:] = np.clip(np.round(colour), 0, 255).astype(np.uint8).reshape(-1, 1, 1)
    top, left = borders[1][0], borders[2][0]
    bordered[:, top : top + height, left : left + width] = image
    return bordered


def _inside(old: Size, param: Any) -> np.ndarray:
    """The part of the new picture that shows the old one, as a box in shares: by exact sizes, not
    rounded to pixels, as in SSD."""
    if param.resize_mode != _RESIZE.FIT_LARGE_SIZE_AND_PAD:
        return np.array([0, 0, 1, 1], np.float32)
    aspect, wanted = old[1] / old[0], param.width / param.height
    if aspect > wanted:
        edge = (1 - wanted / aspect) / 2
        return np.array([0, edge, 1, 1 - edge], np.float32)
    edge = (1 - aspect / wanted) / 2
    return np.array([edge, 0, 1 - edge, 1], np.float32)


def boxes_after(boxes: np.ndarray, old: Size, param: Any) -> np.ndarray:
    """Boxes in shares of the new picture."""
    part = _inside(old, param)
    return np.tile(part[:2], 2) + boxes * np.tile(part[2:] - part[:2], 2)


def boxes_before(boxes: np.ndarray, size: Size, param: Any) -> np.ndarray:
    """Boxes in shares of what a net saw, as pixels of the picture of that size, cut to it;
    ``param`` is the ``resize_param`` that the net saw it through, None where there was none."""
    pixels = np.array([size[1], size[0]] * 2, np.float32)
    if param is None or param.resize_mode == _RESIZE.WARP:
        return boxes.clip(0, 1) * pixels
    if param.resize_mode == _RESIZE.FIT_SMALL_SIZE and param.height_scale and param.width_scale:
        scale = np.array([param.width_scale, param.height_scale] * 2, np.float32)
        return (boxes * scale).clip(0, pixels)
    if param.resize_mode == _RESIZE.FIT_LARGE_SIZE_AND_PAD:
        part = _inside(size, param)
        boxes = (boxes - np.tile(part[:2], 2)) / np.tile(part[2:] - part[:2], 2)
    return boxes.clip(0, 1) * pixels
