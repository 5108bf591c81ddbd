"""Classifier: images in, class probabilities out, as ``caffe.Classifier``."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from caffe import io
from caffe.errors import DataError
from caffe.net import Net
from caffe.proto.caffe_pb2 import TEST

__all__ = ["Classifier"]


class Classifier(Net):
    """A net in the TEST phase that classifies images.

    Args:
        model_file: the deploy prototxt; its first input is fed, its first output read.
        pretrained_file: the weights.
        image_dims: height and width to which images are resized before they are cropped to the
            input's size; by default that size.
        mean, input_scale, raw_scale, channel_swap: see :class:`caffe.io.Transformer`.

    Attributes:
        transformer: makes the net's input of a crop (H, W, C).
        crop_dims: height and width of the net's input.
        image_dims: height and width before cropping.
    """

    def __init__(
        self,
        model_file: str | os.PathLike[str],
        pretrained_file: str | os.PathLike[str],
        image_dims: Sequence[int] | None = None,
        mean: np.ndarray | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = image_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].dims[2:])
        self.image_dims: Sequence[int] | np.ndarray = image_dims or self.crop_dims

    def predict(self, inputs: Sequence[np.ndarray], oversample: bool = True) -> np.ndarray:
        """Returns the first output for each image, (N, classes).

        Args:
            inputs: images (H, W, C) as :func:`caffe.io.load_image` gives them.
            oversample: True for the mean over the corners, the centre, and their mirror images;
                False for the centre alone.

        Raises:
            DataError: no image.
            ValueError: images of different numbers of channels.
        """
        inputs = list(inputs)
        if not inputs:
            raise DataError("Classifier.predict needs at least one image (H, W, C), got none")
        height, width = map(int, self.image_dims)
        images = [io.resize_image(image, (height, width)) for image in inputs]
        crop_height, crop_width = map(int, self.crop_dims)
        if oversample:
            crops = io.oversample(images, (crop_height, crop_width))
        else:
            crops = _centre(np.stack(images), (crop_height, crop_width))
        data = self.inputs[0]
        prepared = np.stack([self.transformer.preprocess(data, crop) for crop in crops])
        predictions: np.ndarray = self.forward_all(**{data: prepared})[self.outputs[0]]
        if oversample:  # ten crops an image
            predictions = predictions.reshape(len(inputs), len(crops) // len(inputs), -1).mean(1)
        return predictions


def image_transformer(
    net: Net,
    mean: np.ndarray | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> io.Transformer:
    """Returns a Transformer of images (H, W, C) for the net's first input (N, C, H, W)."""
    if not net.inputs:
        raise DataError("the net has no Input layer to feed images to: use its deploy prototxt")
    data = net.inputs[0]
    shape = net.blobs[data].dims
    if len(shape) != 4:
        raise DataError(f"images need an input (N, C, H, W); '{data}' has the shape {shape}")
    transformer = io.Transformer({data: shape})
    transformer.set_transpose(data, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(data, mean)
    if input_scale is not None:
        transformer.set_input_scale(data, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(data, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(data, channel_swap)
    return transformer


def _centre(images: np.ndarray, dims: Sequence[int]) -> np.ndarray:
    """The middle of each image (N, H, W, C); half a pixel that is over lies at the end."""
    height, width = images.shape[1:3]
    h, w = (int(n) for n in dims)
    if h > height or w > width:
        raise ValueError(f"crops of {h}×{w} do not fit into images of {height}×{width}")
    top, left = (height - h) // 2, (width - w) // 2
    return images[:, top : top + h, left : left + w]
