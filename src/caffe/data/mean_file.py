"""Mean images: BlobProto files (``.binaryproto``), as compute_image_mean writes them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from caffe.atomic import atomic_write
from caffe.errors import DataError, WeightsError
from caffe.weights import wire
from caffe.weights.blob_proto import frame_blob, parse_blob

__all__ = ["read", "write"]


def read(path: str | os.PathLike[str], shape: Sequence[int] | None = None) -> np.ndarray:
    """The mean in a file as float32 (C, H, W).

    Args:
        path: a BlobProto: legacy num (1), channels, height, width, or ``shape`` of those four, or
            of the last three.
        shape: the (C, H, W) that it must have; None takes any.

    Raises:
        DataError: the file is missing, no BlobProto, not one image, or of another shape.
    """
    name = os.fsdecode(path)
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise DataError(
            f"cannot read the mean file {name}: {error.strerror or error}. compute_image_mean "
            "makes one from a database."
        ) from error
    try:
        values = parse_blob(data, 0, len(data), f"mean file {name}").array()
    except WeightsError as error:  # names the file
        raise DataError(str(error)) from error
    except wire.WireError as error:
        raise DataError(
            f"the mean file {name} is not a whole BlobProto: {error}. Expected a .binaryproto as "
            "compute_image_mean writes it."
        ) from error
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    if values.ndim != 3 or values.size == 0:
        raise DataError(
            f"the mean file {name} has the shape {values.shape}: expected one image, "
            "(1, channels, height, width)"
        )
    if shape is not None and values.shape != tuple(shape):
        raise DataError(
            f"the mean file {name} is {_size(values.shape)}, the images are {_size(shape)} "
            "(channels x height x width, before the crop): expected equal sizes. Use mean_value, "
            "or the mean of images of this size."
        )
    return values


def write(path: str | os.PathLike[str], mean: np.ndarray) -> None:
    """Write (C, H, W) as BVLC's tool does: float32 with num 1, channels, height and width.

    Raises:
        DataError: the file cannot be written.
    """
    legacy = b"".join(bytes([8 * (i + 1)]) + wire.varint(n) for i, n in enumerate((1, *mean.shape)))
    head, _, _, _ = frame_blob((), mean.size, False)
    try:
        with atomic_write(path) as stream:
            stream.write(legacy + head + np.ascontiguousarray(mean, "<f4").tobytes())
    except WeightsError as error:
        raise DataError(str(error)) from error


def _size(shape: Sequence[int]) -> str:
    return " x ".join(str(n) for n in shape)
