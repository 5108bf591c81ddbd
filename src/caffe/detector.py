"""Detector: windows of images in, a prediction for each out, as ``caffe.Detector`` (R-CNN)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from caffe import io
from caffe.classifier import image_transformer
from caffe.errors import DataError, Error
from caffe.net import Net
from caffe.proto.caffe_pb2 import TEST

__all__ = ["Detector"]

Window = Sequence[float] | np.ndarray


class Detector(Net):
    """A net in the TEST phase that classifies windows of images.

    Args:
        model_file, pretrained_file, mean, input_scale, raw_scale, channel_swap: see
            :class:`caffe.Classifier`.
        context_pad: how many pixels of the net's input, on each side, show the surroundings of
            the window; what lies outside the image becomes the mean.

    Attributes:
        transformer: makes the net's input of a crop (H, W, C).
        crop_dims: the shape (H, W, C) of a crop with context.
        crop_mean: what fills such a crop where the image ends: an image like a loaded one.
    """

    def __init__(
        self,
        model_file: str | os.PathLike[str],
        pretrained_file: str | os.PathLike[str],
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = image_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(
        self, images_windows: Iterable[tuple[str | os.PathLike[str], Sequence[Window]]]
    ) -> list[dict[str, Any]]:
        """Returns one dict for each window: ``window``, ``prediction`` and ``filename``.

        Args:
            images_windows: pairs of an image file and its windows (ymin, xmin, ymax, xmax), in
                pixels of the image.

        Raises:
            DataError: there is no window at all, or one has no pixel.
        """
        images_windows = [(name, list(windows)) for name, windows in images_windows]
        data = self.inputs[0]
        crops = []
        for name, windows in images_windows:
            image = io.load_image(name)
            crops += [
                self.transformer.preprocess(data, self.crop(image, window)) for window in windows
            ]
        if not crops:
            raise DataError("Detector.detect_windows needs at least one window, got none")
        predictions = iter(self.forward_all(**{data: np.stack(crops)})[self.outputs[0]])
        return [
            {"window": window, "prediction": next(predictions), "filename": name}
            for name, windows in images_windows
            for window in windows
        ]

    def detect_selective_search(
        self, image_fnames: Iterable[str | os.PathLike[str]]
    ) -> list[dict[str, Any]]:
        """:meth:`detect_windows` with the windows that selective search proposes.

        Raises:
            Error: the package ``selective_search_ijcv_with_python`` is not installed.
        """
        try:
            import selective_search_ijcv_with_python as selective_search
        except ImportError as error:
            raise Error(
                "windows are proposed by the package selective_search_ijcv_with_python (it needs "
                "MATLAB), which cannot be imported: put it on PYTHONPATH, or pass windows of your "
                "own to detect_windows"
            ) from error
        names = [os.path.abspath(name) for name in image_fnames]
        windows = selective_search.get_windows(names, cmd="selective_search_rcnn")
        return self.detect_windows(zip(names, windows))

    def crop(self, im: np.ndarray, window: Window) -> np.ndarray:
        """Returns the window (ymin, xmin, ymax, xmax) of an image (H, W, C), with its context.

        Without ``context_pad`` it is a part of the image, of the window's size; with it, an image
        of :attr:`crop_dims`.

        Raises:
            DataError: no pixel of the window lies in the image.
        """
        box = np.asarray(window, float)
        if not self.context_pad:
            top, left, bottom, right = box.astype(int)
            found = im[top:bottom, left:right]
            if not found.size:
                raise DataError(_no_pixel(window, im))
            return found
        return self._crop_with_context(im, window, box, self.context_pad)

    def _crop_with_context(
        self, im: np.ndarray, window: Window, box: np.ndarray, context_pad: int
    ) -> np.ndarray:
        """The window in the middle of a crop, its surroundings up to the crop's edges."""
        size = self.blobs[self.inputs[0]].width
        half = (box[2:] - box[:2] + 1) / 2
        centre = box[:2] + half
        # The window alone shall fill the crop less the padding on both sides.
        reach = half * size / (size - 2 * context_pad)
        low, high = np.round(centre - reach), np.round(centre + reach)
        scale = size / (high - low + 1)  # of an image pixel in the crop, height and width
        offset = np.round(np.maximum(0, -low) * scale).astype(int)

        # Only a part of that lies in the image.
        limit = np.array(im.shape[:2], float)
        first, last = np.clip(low, 0, limit), np.clip(high, 0, limit)
        extent = np.round((last - first + 1) * scale).astype(int)
        extent = np.minimum(extent, size - offset)
        part = im[int(first[0]) : int(last[0]), int(first[1]) : int(last[1])]
        if not part.size or extent.min() < 1:
            raise DataError(_no_pixel(window, im))
        y, x = offset
        h, w = extent
        crop: np.ndarray = np.ones(self.crop_dims, np.float32) * self.crop_mean
        crop[y : y + h, x : x + w] = io.resize_image(part, (h, w))
        return crop

    def configure_crop(self, context_pad: int | None) -> None:
        """Set how much context a crop shows, and what stands where the image ends.

        Raises:
            DataError: the padding leaves nothing of the net's input to the window.
        """
        data = self.inputs[0]
        channels, height, width = self.blobs[data].dims[1:]
        if context_pad and not 0 <= 2 * context_pad < width:
            raise DataError(
                f"context_pad is at most {(width - 1) // 2} for an input {width} pixels wide, "
                f"got {context_pad}"
            )
        self.context_pad = context_pad
        self.crop_dims = np.array([height, width, channels])
        if context_pad:
            self.crop_mean = self._mean_image(data)

    def _mean_image(self, data: str) -> np.ndarray:
        """The mean as an image (H, W, C) of a loaded image's range and order of channels."""
        mean = self.transformer.mean.get(data)
        if mean is None:
            return np.zeros(self.crop_dims, np.float32)
        image = np.array(mean).transpose(1, 2, 0)
        swap = self.transformer.channel_swap.get(data)
        if swap is not None and image.shape[2] == len(swap):
            image = image[:, :, np.argsort(swap)]
        scale = self.transformer.raw_scale.get(data)
        return image if scale is None else image / scale


def _no_pixel(window: Window, im: np.ndarray) -> str:
    return (
        f"the window {tuple(window)} (ymin, xmin, ymax, xmax) has no pixel of an image of "
        f"{im.shape[0]}×{im.shape[1]}"
    )
