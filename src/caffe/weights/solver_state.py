"""Reading and writing the solverstate: what a solver needs beside the weights to go on.

Field by field BVLC Caffe's SolverState, so that a run begun in one program continues in the other.
Two formats: binary, and HDF5 with the datasets ``iter``, ``current_step`` and ``learned_net`` and
the group ``history``.  One thing is added that BVLC skips: how many threads computed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from caffe.atomic import atomic_write
from caffe.errors import WeightsError
from caffe.hdf5_files import create, find
from caffe.weights import hdf5, wire
from caffe.weights.blob_proto import parse_blob
from caffe.weights.caffemodel import blob_writer, damaged, map_file
from caffe.weights.recognise import refuse_other
from caffe.weights.stored_blob import StoredBlob

__all__ = ["SolverState", "read_solver_state", "write_binary", "write_hdf5"]

_ITER, _NET, _HISTORY, _STEP = 1, 2, 3, 4  # field numbers of SolverState
_THREADS = 20001  # ours, which BVLC's protobuf skips
_LAYER = 100  # of NetParameter, which SolverState does not have
_LONGEST_PATH = 1 << 16  # of the weights, before damage taken for a length fills memory


@dataclass
class SolverState:
    """Updates done, the path of the weights, the history of the update rule, the lr step."""

    iter: int = 0
    learned_net: str = ""
    history: list[StoredBlob] = field(default_factory=list)
    current_step: int = 0
    threads: int = 0  # that computed on the CPU; 0 where the file does not say


def read_solver_state(path: str | os.PathLike[str]) -> SolverState:
    """Read a solverstate, binary or HDF5.

    Raises:
        WeightsError: the file is missing, cut off or damaged.
    """
    path = os.fsdecode(path)
    if hdf5.is_hdf5(path):
        return _read_hdf5(path)
    buffer = map_file(path)
    refuse_other(path, buffer, "solverstate")
    state = SolverState()
    place = ""
    try:
        for f in wire.fields(buffer, 0, len(buffer)):
            if f.number == _HISTORY and f.kind == wire.BYTES:
                place = f", history blob {len(state.history)}"
                blob = parse_blob(buffer, f.start, f.end, path + place)
                if f.missing:
                    raise wire.WireError(f"{f.missing} bytes are missing", f.end)
                blob.check()
                state.history.append(blob)
                place = ""
            elif f.missing:
                raise wire.WireError(f"field {f.number} reaches beyond the file", f.offset)
            elif f.number == _NET and f.kind == wire.BYTES:
                state.learned_net = os.fsdecode(bytes(buffer[f.start : f.end]))
            elif f.number == _ITER and f.kind == wire.VARINT:
                state.iter = f.value
            elif f.number == _LAYER and f.kind == wire.BYTES:
                raise WeightsError(
                    f"{path} holds a net with its weights (a caffemodel), not a solverstate"
                )
            elif f.number == _STEP and f.kind == wire.VARINT:
                state.current_step = f.value
            elif f.number == _THREADS and f.kind == wire.VARINT:
                state.threads = f.value
    except wire.WireError as error:
        raise damaged(path, place, error, "solverstate") from error
    return state


def _read_hdf5(path: str) -> SolverState:
    with hdf5.reading(path):
        file = hdf5.open_file(path)
        missing = [key for key in ("iter", "history") if find(file, key) is None]
        if missing:
            raise WeightsError(f"{path}: no '{missing[0]}': this HDF5 file is no solverstate")
        group = find(file, "history")
        history: list[StoredBlob] = [
            hdf5.Hdf5Blob(f"{path}, history blob {i}", find(group, str(i)))
            for i in range(len(group))
        ]
        return SolverState(
            iter=_number(path, file, "iter"),
            learned_net=_learned_net(path, file),
            history=history,
            current_step=_number(path, file, "current_step") if "current_step" in file else 0,
            threads=_number(path, file, "threads") if "threads" in file else 0,
        )


def _number(path: str, file: Any, key: str) -> int:
    dataset = find(file, key)
    if dataset.size != 1 or dataset.dtype.kind not in "iu":
        raise WeightsError(
            f"{path}: '{key}' should be one whole number, the file has {dataset.dtype} of the "
            f"shape {dataset.shape}. The file is damaged: get or write it again."
        )
    return int(np.ravel(dataset[()])[0])


def _learned_net(path: str, file: Any) -> str:
    """The path of the weights, or nothing."""
    if "learned_net" not in file:
        return ""
    dataset = find(file, "learned_net")
    if dataset.shape != () or dataset.dtype.itemsize > _LONGEST_PATH:
        raise WeightsError(
            f"{path}: 'learned_net' should be one path, the file has {dataset.dtype} of the shape "
            f"{dataset.shape}. The file is damaged: get or write it again."
        )
    return os.fsdecode(dataset[()])


class _Array:
    """An array in the place of a blob."""

    def __init__(self, data: np.ndarray):
        self._data = data
        self.shape = data.shape

    def data_numbers(self) -> np.ndarray:
        return self._data


def write_binary(
    path: str | os.PathLike[str],
    iteration: int,
    learned_net: str,
    history: Iterable[np.ndarray],
    current_step: int,
    threads: int = 0,
) -> None:
    """Write a binary solverstate; ``history`` are arrays of the parameters' shapes."""
    name = os.fsencode(learned_net)
    with atomic_write(path) as file:
        file.write(wire.varint(_ITER << 3) + wire.varint(iteration))
        file.write(wire.varint(_NET << 3 | wire.BYTES) + wire.varint(len(name)) + name)
        for array in history:
            blob_writer(_HISTORY, _Array(array), diff=False)[1](file)
        file.write(wire.varint(_STEP << 3) + wire.varint(current_step))
        if threads:
            file.write(wire.varint(_THREADS << 3) + wire.varint(threads))


def write_hdf5(
    path: str | os.PathLike[str],
    iteration: int,
    learned_net: str,
    history: Iterable[np.ndarray],
    current_step: int,
    threads: int = 0,
) -> None:
    """Write the same in HDF5."""
    hdf5.package()
    with create(path) as file:
        file["iter"] = np.array([iteration], np.int32)
        name = os.fsencode(learned_net)
        file["learned_net"] = np.array(name, f"S{len(name) + 1}")  # BVLC reads on up to a zero
        file["current_step"] = np.array([current_step], np.int32)
        if threads:
            file["threads"] = np.array([threads], np.int32)
        group = file.create_group("history")
        for index, array in enumerate(history):
            group.create_dataset(str(index), data=np.asarray(array, np.float32))
