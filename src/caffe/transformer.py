"""From an image to a net's input and back: the steps of ``caffe.io.Transformer``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caffe.data.image_resize import resize_image

__all__ = ["Transformer"]


class Transformer:
    """Brings images into the form of a net's input, and back.

    Steps of :meth:`preprocess`: resize to the input's height and width, transpose, swap channels,
    multiply by the raw scale, subtract the mean, multiply by the input scale.  Steps that were not
    set are left out.  For a model trained on BGR in 0–255, from :func:`caffe.io.load_image`::

        transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
        transformer.set_transpose("data", (2, 0, 1))        # H×W×C → C×H×W
        transformer.set_channel_swap("data", (2, 1, 0))     # RGB → BGR
        transformer.set_raw_scale("data", 255)              # [0, 1] → [0, 255]
        transformer.set_mean("data", np.array([104, 117, 123]))
        net.blobs["data"].data[...] = transformer.preprocess("data", image)

    Args:
        inputs: input blob → shape (N, C, H, W).
    """

    def __init__(self, inputs: dict[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, np.ndarray] = {}
        self.input_scale: dict[str, float] = {}

    def preprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Returns ``data`` (H, W, C) in the form of the input ``in_``: float32 (C, H, W).

        The caller's array stays as it is (in pycaffe a float32 array could be overwritten).
        """
        self._check_input(in_)
        out = np.array(data, np.float32)
        size = tuple(self.inputs[in_][2:])
        if out.shape[:2] != size:
            out = resize_image(out, size)
        if self.transpose.get(in_) is not None:
            out = out.transpose(self.transpose[in_])
        if self.channel_swap.get(in_) is not None:
            out = out[list(self.channel_swap[in_])]
        if self.raw_scale.get(in_) is not None:
            out *= self.raw_scale[in_]
        if self.mean.get(in_) is not None:
            out -= self.mean[in_]
        if self.input_scale.get(in_) is not None:
            out *= self.input_scale[in_]
        return out

    def deprocess(self, in_: str, data: np.ndarray) -> np.ndarray:
        """Returns an input or a diff (C, H, W), or (1, C, H, W), as an image: the steps undone.

        The size stays that of the input.
        """
        self._check_input(in_)
        out = np.array(data, np.result_type(np.asarray(data), np.float32)).squeeze()
        order = self.transpose.get(in_)
        if order is not None and out.ndim < len(order):
            out = out.reshape(np.shape(data)[-len(order) :])  # one channel, row or column
        if self.input_scale.get(in_) is not None:
            out /= self.input_scale[in_]
        if self.mean.get(in_) is not None:
            out += self.mean[in_]
        if self.raw_scale.get(in_) is not None:
            out /= self.raw_scale[in_]
        if self.channel_swap.get(in_) is not None:
            out = out[np.argsort(self.channel_swap[in_])]
        if order is not None:
            out = out.transpose(np.argsort(order))
        return out

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of axes, (2, 0, 1) to make C×H×W of H×W×C."""
        self._check_input(in_)
        expected = len(self.inputs[in_]) - 1
        if len(order) != expected:
            raise ValueError(
                "Transpose order needs to have the same number of dimensions as the input: "
                f"expected {expected} axes, got {tuple(order)}"
            )
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of channels, (2, 1, 0) to make BGR of RGB; needs channels first."""
        self._check_input(in_)
        expected = self.inputs[in_][1]
        if len(order) != expected:
            raise ValueError(
                "Channel swap needs to have the same number of dimensions as the input channels: "
                f"expected {expected}, got {tuple(order)}"
            )
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Sets the factor before the mean is subtracted: 255 for models of images in 0–255."""
        self._check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: np.ndarray) -> None:
        """Sets the mean to subtract: one value per channel, or an image (C, H, W) or (H, W).

        An image of another size is resized to the input's.

        Raises:
            ValueError: the shape fits no input of that many channels.
        """
        self._check_input(in_)
        channels, *size = self.inputs[in_][1:]
        mean = np.asarray(mean)
        allowed = (channels,)
        if mean.ndim == 1:
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            mean = mean[np.newaxis] if mean.ndim == 2 else mean
            allowed = (1, channels)  # one image for all channels
        if mean.ndim != 3:
            raise ValueError(f"Mean shape invalid: expected (C,) or (C, H, W), got {mean.shape}")
        if mean.shape[0] not in allowed:
            raise ValueError(
                f"Mean channels incompatible with input: expected {channels}, got {mean.shape[0]}"
            )
        if mean.shape[1:] != (1, 1) and mean.shape[1:] != tuple(size):
            mean = resize_image(mean.transpose(1, 2, 0), size).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Sets the factor after the mean is subtracted."""
        self._check_input(in_)
        self.input_scale[in_] = scale

    def _check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise ValueError(f"{in_} is not one of the net inputs: {', '.join(self.inputs)}")
