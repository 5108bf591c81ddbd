"""Images and arrays on their way into nets: loading, resizing, preprocessing, messages."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from caffe.data.image_files import FORMATS
from caffe.data.image_resize import resize_image
from caffe.errors import DataError
from caffe.proto import caffe_pb2

__all__ = [
    "Transformer",
    "array_to_blobproto",
    "array_to_datum",
    "arraylist_to_blobprotovector_str",
    "blobproto_to_array",
    "blobprotovector_str_to_arraylist",
    "datum_to_array",
    "load_image",
    "oversample",
    "resize_image",
]

# Weights of R, G and B in the luminance (ITU-R BT.709), which load_image takes for grey.
LUMINANCE = np.array([0.2125, 0.7154, 0.0721], np.float32)


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> np.ndarray:
    """Returns the data (or the diff) of a blob message as a float64 array.

    The shape is (num, channels, height, width) where one of these is set, else ``shape``.

    Raises:
        ValueError: the number of values does not fit the shape.
    """
    values = blob.diff if return_diff else blob.data
    if not values:
        values = blob.double_diff if return_diff else blob.double_data
    legacy = ("num", "channels", "height", "width")
    if any(blob.HasField(name) for name in legacy):
        shape = tuple(getattr(blob, name) for name in legacy)
    else:
        shape = tuple(blob.shape.dim)
    array = np.array(values, np.float64)
    if array.size != np.prod(shape, dtype=np.int64):
        raise ValueError(
            f"the blob has {array.size} values of {'diff' if return_diff else 'data'}, its shape "
            f"{shape} asks for {np.prod(shape, dtype=np.int64)}"
        )
    return array.reshape(shape)


def array_to_blobproto(arr: np.ndarray, diff: np.ndarray | None = None) -> caffe_pb2.BlobProto:
    """Returns an array, and its diff if given, as a blob message (float32)."""
    arr = np.asarray(arr, np.float32)
    blob = caffe_pb2.BlobProto()
    blob.shape.dim.extend(arr.shape)
    blob.data.extend(arr.ravel().tolist())
    if diff is not None:
        blob.diff.extend(np.asarray(diff, np.float32).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist: Sequence[np.ndarray]) -> bytes:
    """Returns a list of arrays as one serialised BlobProtoVector."""
    vector = caffe_pb2.BlobProtoVector(blobs=[array_to_blobproto(arr) for arr in arraylist])
    return vector.SerializeToString()


def blobprotovector_str_to_arraylist(str: bytes) -> list[np.ndarray]:  # pycaffe's own word
    """Returns the arrays of a serialised BlobProtoVector."""
    return [blobproto_to_array(blob) for blob in caffe_pb2.BlobProtoVector.FromString(str).blobs]


def array_to_datum(arr: np.ndarray, label: int | None = None) -> caffe_pb2.Datum:
    """Returns an array (C, H, W) as a Datum: uint8 as bytes, other types as floats.

    Raises:
        ValueError: the array is not 3-dimensional.
    """
    if arr.ndim != 3:
        raise ValueError(f"Incorrect array shape: a Datum takes (C, H, W), got {arr.shape}")
    datum = caffe_pb2.Datum()
    datum.channels, datum.height, datum.width = arr.shape
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(np.asarray(arr, np.float32).ravel().tolist())
    if label is not None:
        datum.label = int(label)
    return datum


def datum_to_array(datum: caffe_pb2.Datum) -> np.ndarray:
    """Returns a Datum as an array (C, H, W): uint8 where it holds bytes, else float64.

    Raises:
        ValueError: the Datum holds an encoded image file, or too few or too many values.
    """
    if datum.encoded:
        raise ValueError("the Datum holds an encoded image file; decode datum.data, as with PIL")
    shape = (datum.channels, datum.height, datum.width)
    if len(datum.data):
        return np.frombuffer(datum.data, np.uint8).reshape(shape).copy()
    return np.array(datum.float_data, np.float64).reshape(shape)


def load_image(filename: str | os.PathLike[str], color: bool = True) -> np.ndarray:
    """Returns an image file as float32 in [0, 1]: (H, W, 3) RGB, or (H, W, 1) grey.

    Grey images are repeated for colour; colour becomes luminance for grey; alpha is dropped and
    palettes are resolved.  EXIF rotation is not applied, as in pycaffe.  The formats are those of
    :data:`caffe.data.image_files.FORMATS`: others, PostScript above all, run programs.

    Raises:
        OSError: the file is missing, cut short or no image.
        DataError: its header is damaged, or asks for an absurd size; names the file.
    """
    try:
        Image.preinit()  # else Pillow 12 loads all formats it knows, in 50 ms
        with Image.open(filename, formats=FORMATS) as image:
            array = _unit(image)
    # What Pillow raises for headers that are damaged or lie; OSError is pycaffe's for all others.
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read the image '{os.fsdecode(filename)}': {error}") from error
    if color:
        return np.tile(array, (1, 1, 3)) if array.shape[2] == 1 else array
    return array if array.shape[2] == 1 else (array @ LUMINANCE)[:, :, np.newaxis]


def _unit(image: Image.Image) -> np.ndarray:
    """The pixels (H, W, 3) or (H, W, 1), float32 in [0, 1]."""
    if image.mode.startswith(("I", "F")):  # 16 or 32 bits, or float: grey
        return _grey_unit(np.asarray(image))[:, :, np.newaxis]
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"), np.float32)[:, :, np.newaxis] / 255
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # keeps transparency; to RGB at once PIL warns
    return np.asarray(image.convert("RGB"), np.float32) / 255


def _grey_unit(array: np.ndarray) -> np.ndarray:
    """Maps integers to [0, 1] by their type's range (PIL widens 16 bits to 32); floats stay."""
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    deep = array.dtype.itemsize > 2 and array.size and array.max() > 65535
    return (array / (2.0**31 - 1 if deep else 65535)).astype(np.float32)


def oversample(images: Sequence[np.ndarray], crop_dims: tuple[int, int]) -> np.ndarray:
    """Returns ten crops of each image: four corners and the centre, then these mirrored.

    Args:
        images: arrays (H, W, C), all of one size.
        crop_dims: height h and width w of the crops, in pixels.

    Returns:
        float32 (10·N, h, w, C): top left, top right, bottom left, bottom right, centre.

    Raises:
        ValueError: no image, different sizes, or crops larger than the images.
    """
    if not len(images):
        raise ValueError("oversample needs at least one image")
    shapes = {np.shape(image) for image in images}
    if len(shapes) > 1:
        raise ValueError(f"oversample takes images of one shape, got {sorted(shapes)}")
    height, width = np.shape(images[0])[:2]
    h, w = int(crop_dims[0]), int(crop_dims[1])
    if h > height or w > width:
        raise ValueError(f"crops of {h}×{w} do not fit into images of {height}×{width}")
    corners = [(y, x) for y in (0, height - h) for x in (0, width - w)]
    places = [*corners, ((height - h) // 2, (width - w) // 2)]
    crops = []
    for image in images:
        straight = [np.asarray(image, np.float32)[y : y + h, x : x + w] for y, x in places]
        crops += straight + [crop[:, ::-1] for crop in straight]
    return np.stack(crops)


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
        height, width = self.inputs[in_][2:]
        if out.shape[:2] != (height, width):
            out = resize_image(out, (height, width))
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
        channels, height, width = self.inputs[in_][1:]
        mean = np.asarray(mean)
        allowed = [channels]
        if mean.ndim == 1:
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            mean = mean[np.newaxis] if mean.ndim == 2 else mean
            allowed = [1, channels]  # one image for all channels
        if mean.ndim != 3:
            raise ValueError(f"Mean shape invalid: expected (C,) or (C, H, W), got {mean.shape}")
        if mean.shape[0] not in allowed:
            raise ValueError(
                f"Mean channels incompatible with input: expected {channels}, got {mean.shape[0]}"
            )
        if mean.shape[1:] not in ((1, 1), (height, width)):
            mean = resize_image(mean.transpose(1, 2, 0), (height, width)).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Sets the factor after the mean is subtracted."""
        self._check_input(in_)
        self.input_scale[in_] = scale

    def _check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise ValueError(f"{in_} is not one of the net inputs: {', '.join(self.inputs)}")
