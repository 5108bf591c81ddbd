"""WindowData: windows cut out of images, foreground and background, as R-CNN trains on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from caffe import rng
from caffe.data import image_files, mean_file
from caffe.errors import DataError, LayerError
from caffe.layer import register
from caffe.layer._prefetching import PrefetchingLayer
from caffe.layer._window import place, read_windows

if TYPE_CHECKING:
    from caffe.data.data_transformer import DataTransformer

CHANNELS = 3


@register("WindowData")
class WindowData(PrefetchingLayer):
    """Random windows of a window file, warped to crop_size x crop_size: first the background ones,
    then ``fg_fraction`` of the batch from the foreground.

    ``window_data_param``: source and root_folder, batch_size, fg_threshold and bg_threshold on the
    overlap, context_pad, crop_mode (``warp`` or ``square``), cache_images (the files stay in
    memory), scale.  ``transform_param``: crop_size, mirror, mean_file or mean_value.  A value is
    (pixel - mean) * scale, in BGR, and 0 where the window reaches beyond the image.

    Windows and mirroring are drawn from a stream of the layer's own, which a word of Caffe's stream
    seeds when the net is built: a seed gives BVLC's own batches.  Several solvers do not share the
    windows out; each draws its own.

    Tops: data (batch_size, 3, crop_size, crop_size), class (batch_size).
    """

    graphable = False
    tops = 2
    log_name = "window_data_layer"

    @property
    def batch_size(self) -> int:
        return self.param.window_data_param.batch_size

    def source(self, transformer: DataTransformer) -> WindowSource:
        draws = rng.Generator(int(rng.get().u32(1)[0]))
        return WindowSource(self.param.window_data_param, self.param.transform_param, draws)


class WindowSource:
    """Batches of windows (see ``caffe.data.prefetch.Source``); ``p`` and ``transform`` are the
    layer's messages, ``draws`` its stream."""

    def __init__(self, p: Any, transform: Any, draws: rng.Generator) -> None:
        self.p, self.crop, self.mirror = p, transform.crop_size, transform.mirror
        self.pinned = False
        self._draws = draws
        _check(p, transform)
        self.windows = read_windows(p.source, p.root_folder, p.fg_threshold, p.bg_threshold)
        self._files = [_bytes_of(f) for f in self.windows.images] if p.cache_images else None
        self._mean = _read_mean(transform)
        foreground = int(np.float32(p.batch_size) * np.float32(p.fg_fraction))
        self._parts = (
            ("background", self.windows.background, p.batch_size - foreground),
            ("foreground", self.windows.foreground, foreground),
        )
        for name, windows, count in self._parts:
            if count and not len(windows):
                raise DataError(
                    f"the window file {p.source} has no {name} window, a batch needs {count}: "
                    f"foreground has an overlap of at least {p.fg_threshold:g}, background of "
                    f"less than {p.bg_threshold:g}"
                )

    def shape(self) -> tuple[int, ...]:
        return (self.p.batch_size, CHANNELS, self.crop, self.crop)

    def shapes(self) -> Sequence[tuple[int, ...]]:
        return self.shape(), (self.p.batch_size,)

    def place(self) -> str:
        return self._draws.state()

    def go_to(self, place: str) -> None:
        self._draws.set_state(place)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        data = torch.zeros(self.shape(), pin_memory=self.pinned)
        labels = torch.empty(self.p.batch_size, pin_memory=self.pinned)
        item = 0
        for _, windows, count in self._parts:
            for _ in range(count):
                window = windows[self._draw() % len(windows)].tolist()
                flip = self.mirror and self._draw() % 2 == 1
                labels[item] = window[1]
                self._fill(data[item].numpy(), window[0], window[2:], flip)
                item += 1
        return data, labels

    def _draw(self) -> int:
        return int(self._draws.u32(1)[0])

    def _fill(self, out: np.ndarray, index: int, window: Sequence[int], flip: bool) -> None:
        """Write one window of image ``index`` into ``out``, zeros of (C, crop, crop)."""
        p = self.p
        path = self.windows.images[index]
        if self._files is None:
            image = image_files.read(path)
        else:
            image = image_files.decode(self._files[index], True, path)
        height, width = image.shape[:2]
        x1, y1, x2, y2 = window
        box, square = (x1, y1, x2, y2), p.crop_mode == "square"
        at = place(box, (height, width), self.crop, p.context_pad, square, flip)
        inside = 0 <= at.x1 <= at.x2 < width and 0 <= at.y1 <= at.y2 < height
        if not inside or at.height < 1 or at.width < 1:
            raise DataError(
                f"the window x {box[0]} to {box[2]}, y {box[1]} to {box[3]} of {path} has nothing "
                f"inside the image of {height} x {width}, or ends outside it: correct {p.source}"
            )
        region = image[at.y1 : at.y2 + 1, at.x1 : at.x2 + 1]
        pixels = image_files.resize(region, at.height, at.width)
        if flip:
            pixels = pixels[:, ::-1]
        there = (
            slice(None),
            slice(at.top, at.top + at.height),
            slice(at.left, at.left + at.width),
        )
        values = pixels.transpose(2, 0, 1).astype(np.float32)
        if self._mean is not None:
            values -= np.broadcast_to(self._mean, out.shape)[there]
        out[there] = values * np.float32(p.scale)


def _read_mean(transform: Any) -> np.ndarray | None:
    """What is subtracted: (C, crop, crop), or (C or 1, 1, 1) of mean values, or None."""
    if not transform.mean_file:
        if not transform.mean_value:
            return None
        return np.array(transform.mean_value, np.float32).reshape(-1, 1, 1)
    crop, mean = transform.crop_size, mean_file.read(transform.mean_file)
    channels, height, width = mean.shape
    offset = (width - crop) // 2  # from the width for both axes, as in BVLC
    if channels != CHANNELS or offset < 0 or offset + crop > height:
        raise DataError(
            f"the mean file {transform.mean_file} is {channels} x {height} x {width}: expected "
            f"{CHANNELS} channels and at least the crop of {crop} x {crop}, of which it must be "
            "the middle"
        )
    return mean[:, offset : offset + crop, offset : offset + crop]


def _check(p: Any, transform: Any) -> None:
    """Raise LayerError for settings that make no sense."""
    problem = None
    if transform.crop_size < 1:
        problem = "transform_param { crop_size } must be positive: windows are warped to it"
    elif p.crop_mode not in ("warp", "square"):
        problem = f"crop_mode must be 'warp' or 'square', got '{p.crop_mode}'"
    elif not 0 <= p.fg_fraction <= 1:
        problem = f"fg_fraction must lie between 0 and 1, got {p.fg_fraction:g}"
    elif 2 * p.context_pad >= transform.crop_size:
        problem = (
            f"context_pad {p.context_pad} leaves nothing of a crop_size of "
            f"{transform.crop_size}: it must be less than half"
        )
    elif len(transform.mean_value) not in (0, 1, CHANNELS):
        problem = (
            f"Specify either 1 mean_value or as many as channels ({CHANNELS}), got "
            f"{len(transform.mean_value)}"
        )
    if problem:
        raise LayerError(problem)


def _bytes_of(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise DataError(f"Could not open or find file {path}: {error.strerror or error}") from error
