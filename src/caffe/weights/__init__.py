"""Copying weights files into nets: by layer name, everything checked before anything is copied.

The formats are :mod:`caffe.weights.caffemodel` (binary) and :mod:`caffe.weights.hdf5`; which one a
file is its content tells.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from caffe.atomic import atomic_write
from caffe.errors import WeightsError
from caffe.weights import caffemodel, hdf5
from caffe.weights.caffemodel import LayerWeights, write_net
from caffe.weights.hdf5 import is_hdf5
from caffe.weights.stored_blob import StoredBlob, copy_all

__all__ = [
    "LayerWeights",
    "StoredBlob",
    "atomic_write",
    "is_hdf5",
    "load",
    "read_layers",
    "write_net",
]


def read_layers(path: str | os.PathLike[str]) -> list[LayerWeights]:
    """All layers of a weights file of either format; their numbers stay in the file.

    Raises:
        WeightsError: the file is missing, cut off, damaged or no weights file.
    """
    return hdf5.read_layers(path) if is_hdf5(path) else caffemodel.read_layers(path)


def load(path: str | os.PathLike[str], params: Iterable[tuple[str, Sequence[Any]]]) -> list[str]:
    """Copy a weights file into the parameters of a net, by layer name (``Net.copy_from``).

    Diffs are copied too where a caffemodel has them; those in HDF5 are not read, as in BVLC.

    Args:
        path: a caffemodel or HDF5 file.
        params: ``(layer name, its blobs)`` for every layer of the net.

    Returns:
        The names of the layers in the file that the net does not have.

    Raises:
        WeightsError: the file is damaged or does not fit the net.  Nothing is copied then.
    """
    path = os.fsdecode(path)
    targets: dict[str, Sequence[Any]] = {}
    owners: dict[int, Any] = {}  # memory -> the first blob that has it
    for name, blobs in params:
        targets.setdefault(name, blobs)
        for blob in blobs:
            owners.setdefault(id(blob.data_storage), blob)

    may_leave_out = is_hdf5(path)  # a parameter that is shared with an earlier layer
    ignored: list[str] = []
    pairs = []
    other_shapes: list[tuple[Any, Sequence[int]]] = []
    for layer in read_layers(path):
        if layer.name not in targets:
            ignored.append(layer.name)
            continue
        blobs = targets[layer.name]
        found = list(layer.blobs)
        if may_leave_out:
            found += [None] * (len(blobs) - len(found))
        if len(found) != len(blobs):
            raise WeightsError(
                f"{path}: Incompatible number of blobs for layer '{layer.name}': the file has "
                f"{len(layer.blobs)}, the net {len(blobs)}. Check that the weights belong to this "
                "net; to learn the layer from scratch, rename it."
            )
        for index, (stored, blob) in enumerate(zip(found, blobs)):
            if stored is not None:
                if blob.takes_any_shape and not stored.matches(blob.shape):
                    other_shapes.append((blob, stored.dims))
                    stored.check()
                else:
                    _check_fit(path, layer.name, index, stored, blob.shape)
                pairs.append((stored, blob))
            elif owners[id(blob.data_storage)] is blob:
                raise WeightsError(f"{path}, layer '{layer.name}': blob {index} is missing")

    for blob, dims in other_shapes:
        blob.reshape(*dims)
    steps: list[Callable[[], None]] = []
    for stored, blob in pairs:
        blob.will_be_overwritten()
        steps += stored.copies(blob.data)
        if stored.has_diff:
            steps += stored.copies(blob.diff, diff=True)
    copy_all(steps)
    return ignored


def _check_fit(path: str, layer: str, index: int, stored: StoredBlob, shape: Sequence[int]) -> None:
    if not stored.matches(shape):
        expected = " ".join([*map(str, shape), f"({math.prod(shape)})"])
        raise WeightsError(
            f"{path}: Cannot copy param {index} weights from layer '{layer}'; shape mismatch: the "
            f"file has {stored.describe_shape()}, the net {expected}. To learn this layer's "
            "parameters from scratch, rename the layer."
        )
    stored.check()
