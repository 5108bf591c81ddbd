"""Weights in HDF5, the format of ``snapshot_format: HDF5``.

Weights: a group ``data`` with one group per layer (every layer, parameters or not) and in it the
datasets "0", "1", ...; with diffs a group ``diff`` of the same form.  A parameter shared with an
earlier layer is left out of ``data``.  A layer name with ``/`` makes a group in a group, where BVLC
aborts; BVLC reads such a file but takes those layers for absent.

The package h5py is needed for these files only.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from caffe import hdf5_files
from caffe.errors import WeightsError
from caffe.weights.caffemodel import LayerWeights
from caffe.weights.stored_blob import StoredBlob

__all__ = ["Hdf5Blob", "is_hdf5", "open_file", "package", "read_layers", "reading", "write_net"]

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether the file is HDF5, by its first bytes."""
    try:
        hdf5_files.check_regular(os.fsdecode(path))
        with open(path, "rb") as file:
            return file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE
    except OSError as error:
        raise WeightsError(
            f"cannot read weights from {os.fsdecode(path)}: {error.strerror or error}"
        ) from error


def package() -> Any:
    """h5py, which is imported when a file needs it; raises WeightsError without it."""
    try:
        import h5py
    except ImportError as error:
        raise WeightsError(
            "HDF5 files need the package h5py, which is not installed. Install it with "
            "'pip install h5py', or use the binary format (snapshot_format: BINARYPROTO)."
        ) from error
    return h5py


class Hdf5Blob(StoredBlob):
    """A dataset; the file stays open while this object lives."""

    def __init__(self, where: str, dataset: Any):
        super().__init__(where, shape=dataset.shape)
        self.dataset = dataset

    def check(self) -> None:
        if self.dataset.dtype.kind not in "fiu":
            raise WeightsError(f"{self.where}: expected numbers, received {self.dataset.dtype}")

    def copies(self, array: np.ndarray, diff: bool = False) -> list[Callable[[], None]]:
        """The numbers are read here, so that a damaged file changes no parameter."""
        with reading(self.where):
            values = self.dataset[()]

        def copy() -> None:
            array.reshape(self.shape)[...] = values

        return [copy]


@contextlib.contextmanager
def reading(where: str) -> Iterator[None]:
    """h5py raises exceptions of many types from damaged files; here they are one."""
    try:
        yield
    except WeightsError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{where}: {error}. The file is damaged or holds something else: get or write it again."
        ) from error


def open_file(path: str) -> Any:
    """An HDF5 file, open for reading."""
    try:
        return package().File(path, "r")
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error}") from error


_MOST_BLOBS = 1000  # of a layer, before numbers taken for a name fill memory
_DEPTH = 32  # of groups in groups, that is of slashes in a layer name; links may make circles


def _items(group: Any) -> dict[str, Any]:
    """What a group holds; nothing of it may lie in another file."""
    if isinstance(group, dict):
        return group
    return {key: hdf5_files.find(group, key) for key in group}


def _layers(
    path: str, group: Any, prefix: str = "", above: tuple[Any, ...] = ()
) -> Iterator[LayerWeights]:
    """The layers in a group, and in the groups within it; ``above`` are the groups it lies in."""
    for key, item in _items(group).items():
        name = prefix + key
        if not hasattr(item, "items"):
            raise WeightsError(f"{path}: '{name}' is no group, so it holds no layer")
        if name.count("/") > _DEPTH or item in above:
            raise WeightsError(f"{path}: more than {_DEPTH} groups within each other: '{name}'")
        held = _items(item)
        inner = {k: v for k, v in held.items() if hasattr(v, "items")}
        own = {k: v for k, v in held.items() if k not in inner}
        if own or not inner:
            yield LayerWeights(name, "", _blobs(path, name, own))
        if inner:
            yield from _layers(path, inner, name + "/", (*above, item))


def _blobs(path: str, layer: str, datasets: dict[str, Any]) -> list[StoredBlob | None]:
    """The datasets of one layer by index; None for an index that is not there."""
    found: dict[int, StoredBlob] = {}
    for key, dataset in datasets.items():
        where = f"{path}, layer '{layer}', blob {key}"
        if not key.isdecimal() or int(key) >= _MOST_BLOBS:
            raise WeightsError(f"{where}: unexpected name, expected the datasets 0, 1, ...")
        if not hasattr(dataset, "shape"):
            raise WeightsError(f"{where}: no dataset. The file is damaged: get or write it again.")
        found[int(key)] = Hdf5Blob(where, dataset)
    return [found.get(index) for index in range(max(found, default=-1) + 1)]


def read_layers(path: str | os.PathLike[str]) -> list[LayerWeights]:
    """See :func:`caffe.weights.read_layers`; diffs in the file are left alone, as in BVLC."""
    path = os.fsdecode(path)
    with reading(path):
        file = open_file(path)
        data = hdf5_files.find(file, "data")
        if not hasattr(data, "items"):
            raise WeightsError(f"{path}: no group 'data': this HDF5 file holds no Caffe weights")
        return list(_layers(path, data))


def write_net(
    path: str, params: Iterable[tuple[str, Sequence[Any]]], write_diff: bool = False
) -> None:
    """Write weights, and with ``write_diff`` their diffs.

    ``params`` are ``(layer name, blobs)`` of every layer, in order.
    """
    package()
    params = list(params)
    for name, _ in params:
        first, *rest = name.split("/")
        if first in ("", ".") or any(part in ("", ".") or part.isdigit() for part in rest):
            raise WeightsError(
                f"layer '{name}': HDF5 cannot hold this layer name: the parts between slashes must "
                "not be empty, '.' or a number. Save in the binary format instead (Net.save, "
                "snapshot_format: BINARYPROTO)."
            )
    with hdf5_files.create(path) as file:
        data = file.create_group("data")
        diff = file.create_group("diff") if write_diff else None
        written: set[int] = set()  # storages: a shared parameter is stored with its first layer
        for name, blobs in params:
            group = data.require_group(name)
            diff_group = diff.require_group(name) if diff is not None else None
            for index, blob in enumerate(blobs):
                if id(blob.data_storage) not in written:
                    written.add(id(blob.data_storage))
                    group.create_dataset(str(index), data=blob.data_numbers())
                if diff_group is not None:
                    diff_group.create_dataset(str(index), data=blob.diff_numbers())
