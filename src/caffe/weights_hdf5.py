"""Weights and solver state in HDF5, the format of ``snapshot_format: HDF5``.

Weights: a group ``data`` with one group per layer (every layer, parameters or not) and in it the
datasets "0", "1", ...; with diffs a group ``diff`` of the same form.  A parameter shared with an
earlier layer is left out of ``data``.  A layer name with ``/`` makes a group in a group, where BVLC
aborts; BVLC reads such a file but takes those layers for absent.  Solver state: ``iter``,
``current_step``, ``learned_net`` and the group ``history``.

The package h5py is needed for these files only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe.atomic import atomic_path
from caffe.caffemodel import LayerWeights
from caffe.errors import WeightsError
from caffe.stored_blob import StoredBlob

if TYPE_CHECKING:
    from caffe.solver_state import SolverState

__all__ = ["Hdf5Blob", "read_layers", "read_solver_state", "write_net", "write_solver_state"]


def _h5py() -> Any:
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
        def copy() -> None:
            try:
                array.reshape(self.shape)[...] = self.dataset[()]
            except OSError as error:
                raise WeightsError(f"{self.where}: cannot read the numbers: {error}") from error

        return [copy]


def _open(path: str) -> Any:
    try:
        return _h5py().File(path, "r")
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error}") from error


_DEPTH = 32  # of groups in groups, that is of slashes in a layer name; links may make circles


def _layers(path: str, group: Any, prefix: str = "") -> Iterator[LayerWeights]:
    """The layers in a group, and in the groups within it."""
    for key, item in group.items():
        name = prefix + key
        if not hasattr(item, "items"):
            raise WeightsError(f"{path}: '{name}' is no group, so it holds no layer")
        if name.count("/") > _DEPTH:
            raise WeightsError(f"{path}: more than {_DEPTH} groups within each other: '{name}'")
        inner = {k: v for k, v in item.items() if hasattr(v, "items")}
        own = {k: v for k, v in item.items() if k not in inner}
        if own or not inner:
            yield LayerWeights(name, "", _blobs(path, name, own))
        if inner:
            yield from _layers(path, inner, name + "/")


def _blobs(path: str, layer: str, datasets: dict[str, Any]) -> list[StoredBlob | None]:
    """The datasets of one layer by index; None for an index that is not there."""
    found: dict[int, StoredBlob] = {}
    for key, dataset in datasets.items():
        where = f"{path}, layer '{layer}', blob {key}"
        if not key.isdigit():
            raise WeightsError(f"{where}: unexpected name, expected the datasets 0, 1, ...")
        found[int(key)] = Hdf5Blob(where, dataset)
    return [found.get(index) for index in range(max(found, default=-1) + 1)]


def read_layers(path: str | os.PathLike) -> list[LayerWeights]:
    """See :func:`caffe.weights.read_layers`; diffs in the file are left alone, as in BVLC."""
    path = os.fsdecode(path)
    file = _open(path)
    if "data" not in file:
        raise WeightsError(f"{path}: no group 'data': this HDF5 file holds no Caffe weights")
    return list(_layers(path, file["data"]))


def read_solver_state(path: str) -> SolverState:
    """See :func:`caffe.solver_state.read_solver_state`."""
    from caffe.solver_state import SolverState

    file = _open(path)
    missing = [key for key in ("iter", "history") if key not in file]
    if missing:
        raise WeightsError(f"{path}: no '{missing[0]}': this HDF5 file is no solverstate")
    name = file["learned_net"][()] if "learned_net" in file else b""
    group = file["history"]
    history = [Hdf5Blob(f"{path}, history blob {i}", group[str(i)]) for i in range(len(group))]
    return SolverState(
        iter=int(np.ravel(file["iter"][()])[0]),
        learned_net=os.fsdecode(name),
        history=list(history),
        current_step=int(np.ravel(file["current_step"][()])[0]) if "current_step" in file else 0,
    )


def write_net(
    path: str, params: Iterable[tuple[str, Sequence[Any]]], write_diff: bool = False
) -> None:
    """Write weights, and with ``write_diff`` their diffs.

    ``params`` are ``(layer name, blobs)`` of every layer, in order.
    """
    h5py = _h5py()
    params = list(params)
    for name, _ in params:
        first, *rest = name.split("/")
        if first in ("", ".") or any(part in ("", ".") or part.isdigit() for part in rest):
            raise WeightsError(
                f"layer '{name}': HDF5 cannot hold this layer name: the parts between slashes must "
                "not be empty, '.' or a number. Save in the binary format instead (Net.save, "
                "snapshot_format: BINARYPROTO)."
            )
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        data = file.create_group("data")
        diff = file.create_group("diff") if write_diff else None
        written: set[int] = set()  # storages: a shared parameter is stored with its first layer
        for name, blobs in params:
            group = data.require_group(name)
            diff_group = diff.require_group(name) if diff is not None else None
            for index, blob in enumerate(blobs):
                if id(blob.data_storage) not in written:
                    written.add(id(blob.data_storage))
                    group.create_dataset(str(index), data=np.asarray(blob.data, np.float32))
                if diff_group is not None:
                    diff_group.create_dataset(str(index), data=np.asarray(blob.diff, np.float32))


def write_solver_state(
    path: str,
    iteration: int,
    learned_net: str,
    history: Iterable[np.ndarray],
    current_step: int,
) -> None:
    """See :func:`caffe.solver_state.write_solver_state`."""
    h5py = _h5py()
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file["iter"] = np.array([iteration], np.int32)
        file["learned_net"] = np.bytes_(os.fsencode(learned_net))
        file["current_step"] = np.array([current_step], np.int32)
        group = file.create_group("history")
        for index, array in enumerate(history):
            group.create_dataset(str(index), data=np.asarray(array, np.float32))
