"""Weights and solver state in HDF5, the format of ``snapshot_format: HDF5``.

Weights: a group ``data`` with one group per layer (every layer, parameters or not) and in it the
datasets "0", "1", ...; with diffs a group ``diff`` of the same form.  A parameter shared with an
earlier layer is left out of ``data``.  Solver state: ``iter``, ``current_step``, ``learned_net``
and the group ``history``.

The package h5py is needed for these files only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe import glog
from caffe.atomic import atomic_path
from caffe.errors import WeightsError
from caffe.stored_blob import StoredBlob

if TYPE_CHECKING:
    from caffe.net import Net
    from caffe.solver_state import SolverState

__all__ = ["Hdf5Blob", "read_net", "read_solver_state", "write_net", "write_solver_state"]


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


def _blobs(path: str, layer: str, group: Any) -> dict[int, Hdf5Blob]:
    """The datasets of one layer, by index."""
    blobs = {}
    for key, dataset in group.items():
        where = f"{path}, layer '{layer}', blob {key}"
        if not key.isdigit():
            raise WeightsError(f"{where}: unexpected name, expected the datasets 0, 1, ...")
        blobs[int(key)] = Hdf5Blob(where, dataset)
    return blobs


def read_net(path: str, net: Net) -> None:
    """Copy the weights into a net, by layer name; nothing is copied unless everything fits.

    A layer may leave out a parameter that the net shares with an earlier layer.  Diffs are not
    read, as in BVLC.
    """
    file = _open(path)
    if "data" not in file:
        raise WeightsError(f"{path}: no group 'data': this HDF5 file holds no Caffe weights")
    owners: dict[int, Any] = {}  # memory -> the first blob that has it
    targets: dict[str, Sequence[Any]] = {}
    for name, blobs in net.layer_params():
        targets.setdefault(name, blobs)
        for blob in blobs:
            owners.setdefault(id(blob.data_storage), blob)

    copies = []
    for name, group in file["data"].items():
        if name not in targets:
            glog.info("net", f"Ignoring source layer {name}")
            continue
        blobs = targets[name]
        stored = _blobs(path, name, group)
        if len(stored) > len(blobs):
            raise WeightsError(
                f"{path}: Incompatible number of blobs for layer '{name}': the file has "
                f"{len(stored)}, the net {len(blobs)}. Rename the layer to train it from its filler"
            )
        for index, blob in enumerate(blobs):
            source = stored.get(index)
            if source is None:
                if owners[id(blob.data_storage)] is blob:
                    raise WeightsError(f"{path}, layer '{name}': no dataset '{index}'")
                continue
            if not source.matches(blob.shape):
                raise WeightsError(
                    f"{path}: Cannot copy param {index} weights from layer '{name}'; shape "
                    f"mismatch: the file has {source.shape}, the net {tuple(blob.shape)}. To learn "
                    "this layer's parameters from scratch, rename the layer."
                )
            source.check()
            copies.append((source, blob))
    for source, blob in copies:
        source.copy_to(blob.data)


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
        learned_net=name.decode() if isinstance(name, bytes) else str(name),
        history=list(history),
        current_step=int(np.ravel(file["current_step"][()])[0]) if "current_step" in file else 0,
    )


def write_net(path: str, net: Net, write_diff: bool = False) -> None:
    """Write the weights of a net, and with ``write_diff`` their diffs."""
    h5py = _h5py()
    params = net.layer_params()
    for name, _ in params:
        if "/" in name:
            raise WeightsError(
                f"layer '{name}': HDF5 cannot hold a layer name with '/'. Save in the binary "
                "format instead (Net.save, snapshot_format: BINARYPROTO)."
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
        file["learned_net"] = np.bytes_(learned_net.encode())
        file["current_step"] = np.array([current_step], np.int32)
        group = file.create_group("history")
        for index, array in enumerate(history):
            group.create_dataset(str(index), data=np.asarray(array, np.float32))
