"""Pictures that come with a label image: reading it, and cropping and mirroring both alike."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
from PIL import Image

from caffe.data import data_transformer, image_files
from caffe.data.data_transformer import DataTransformer
from caffe.errors import DataError, LayerError

__all__ = ["LabelledTransformer", "read_labels", "resize_labels"]


def read_labels(path: str | os.PathLike[str]) -> np.ndarray:
    """The labels in an image file, uint8 (H, W): the indices of an image with a palette, else the
    grey values.  OpenCV, with which the forks read them, makes greys of a palette's colours.

    Raises:
        DataError: the file is missing or no image, or has colours, which are no labels.
    """
    image = image_files.read(path, color=True)
    name = os.fsdecode(path)
    with open(path, "rb") as stream:
        data = stream.read()
    with Image.open(io.BytesIO(data)) as file:
        if file.mode == "P":
            return np.array(file, np.uint8)
    if (image != image[:, :, :1]).any():
        raise DataError(
            f"the label image {name} has colours: expected one class a pixel, as grey values or "
            "as the indices of a palette"
        )
    return image[:, :, 0]


def resize_labels(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Labels (H, W) at another size, each pixel one of the old ones: OpenCV's INTER_NEAREST."""
    rows, columns = (
        np.minimum(np.floor(np.arange(new) * (old / new)).astype(int), old - 1)
        for old, new in zip(labels.shape, (height, width))
    )
    return labels[rows[:, np.newaxis], columns]


class LabelledTransformer(DataTransformer):
    """``transform_param`` for a picture and its labels: crop and mirror work on both alike, mean
    and scale on the picture.

    Beside ``crop_size``, ``crop_h`` and ``crop_w`` (PSPNet).  The order of draws is that of
    :class:`DataTransformer`.

    Args:
        pads: a picture smaller than the crop is padded below and on the right, by its mean, and
            its labels by ``ignore_label``; otherwise that is an error.

    Raises:
        LayerError: contradictory settings.
    """

    refused = tuple(n for n in data_transformer.OF_SSD if n not in ("crop_h", "crop_w"))

    def __init__(self, param: Any, phase: int, pads: bool = False, ignore_label: int = 255) -> None:
        super().__init__(param, phase)
        if bool(param.crop_h) != bool(param.crop_w) or (param.crop_h and param.crop_size):
            raise LayerError(
                f"give crop_size, or crop_h and crop_w: got crop_size {param.crop_size}, crop_h "
                f"{param.crop_h}, crop_w {param.crop_w}"
            )
        self.crop = (param.crop_h or param.crop_size, param.crop_w or param.crop_size)
        self.random_crop = phase == data_transformer.TRAIN and any(self.crop)
        self.pads, self.ignore_label = pads, ignore_label

    def shape(self, pixels: np.ndarray) -> tuple[int, int, int]:
        channels, *size = pixels.shape
        if not any(self.crop):
            return super().shape(pixels)
        if self.pads:  # no larger crop is wrong
            size = [max(n, crop) for n, crop in zip(size, self.crop)]
            if self.mean is not None:
                raise DataError("a picture that may be padded takes mean_value, no mean_file")
        if any(n < crop for n, crop in zip(size, self.crop)):
            raise DataError(
                f"the crop of {self.crop[0]} x {self.crop[1]} is larger than the picture, "
                f"{size[0]} x {size[1]} (height x width). Resize the pictures, or crop less."
            )
        if len(self.param.mean_value) not in (0, 1, channels):
            raise DataError(
                f"Specify either 1 mean_value or as many as channels: got "
                f"{len(self.param.mean_value)} for {channels} channels"
            )
        return (channels, *self.crop)

    def apply_to_both(
        self, pixels: np.ndarray, labels: np.ndarray, out: np.ndarray, out_labels: np.ndarray
    ) -> None:
        """Transform a picture, (C, H, W), into ``out``, float32 of :meth:`shape`, and its labels,
        (H, W), into ``out_labels``, float32 (H, W) of that.

        Raises:
            DataError: as :meth:`shape`; picture and labels, or result and ``out``, differ in size.
        """
        if pixels.shape[1:] != labels.shape:
            raise DataError(
                f"the picture is {_size(pixels.shape[1:])} (height x width), its label image "
                f"{_size(labels.shape)}: expected equal sizes, or new_height and new_width"
            )
        shape = self.shape(pixels)
        if shape != out.shape:
            raise DataError(
                f"the picture is {_size(shape)} (channels x height x width, after the crop), the "
                f"first one of the batch was {_size(out.shape)}: expected equal sizes. Resize all "
                "to one size, set crop_size, or use batch_size 1."
            )
        pixels, labels = self._padded(pixels, labels)
        mirror = self.param.mirror and self._draw(2) == 1
        top, left = self._corner(*labels.shape)
        window = (slice(top, top + shape[1]), slice(left, left + shape[2]))
        self._fill(out, pixels, (slice(None), *window), mirror)
        (out_labels[:, ::-1] if mirror else out_labels)[...] = labels[window]

    def _padded(self, pixels: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        below, right = (max(crop - n, 0) for crop, n in zip(self.crop, labels.shape))
        if not below and not right:
            return pixels, labels
        mean = np.array(self.param.mean_value or [0], np.float32)
        framed = np.empty((len(pixels), *(np.array(labels.shape) + (below, right))), np.float32)
        framed[...] = mean[:, np.newaxis, np.newaxis]
        framed[:, : labels.shape[0], : labels.shape[1]] = pixels
        around = ((0, below), (0, right))
        return framed, np.pad(labels, around, constant_values=self.ignore_label)

    def _corner(self, height: int, width: int) -> tuple[int, int]:
        if not any(self.crop):
            return 0, 0
        room = (height - self.crop[0], width - self.crop[1])
        if self.random_crop:
            row = self._draw(room[0] + 1)
            return row, self._draw(room[1] + 1)
        return room[0] // 2, room[1] // 2


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)
