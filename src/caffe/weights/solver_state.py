"""Reading and writing the solverstate: what a solver needs beside the weights to go on.

Field by field BVLC Caffe's SolverState, so that a run begun in one program continues in the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from caffe.atomic import atomic_write
from caffe.errors import WeightsError
from caffe.weights import is_hdf5, wire
from caffe.weights.blob_proto import parse_blob
from caffe.weights.caffemodel import blob_writer, damaged, map_file
from caffe.weights.stored_blob import StoredBlob

__all__ = ["SolverState", "read_solver_state", "write_solver_state"]

_ITER, _NET, _HISTORY, _STEP = 1, 2, 3, 4  # field numbers of SolverState
_LAYER = 100  # of NetParameter, which SolverState does not have


@dataclass
class SolverState:
    """Updates done, the path of the weights, the history of the update rule, the lr step."""

    iter: int = 0
    learned_net: str = ""
    history: list[StoredBlob] = field(default_factory=list)
    current_step: int = 0


def read_solver_state(path: str | os.PathLike) -> SolverState:
    """Read a solverstate, binary or HDF5.

    Raises:
        WeightsError: the file is missing, cut off or damaged.
    """
    path = os.fsdecode(path)
    if is_hdf5(path):
        from caffe.weights import hdf5

        return hdf5.read_solver_state(path)
    buffer = map_file(path)
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
    except wire.WireError as error:
        raise damaged(path, place, error, "solverstate") from error
    return state


class _Array:
    """An array in the place of a blob."""

    def __init__(self, data: np.ndarray):
        self._data = data
        self.shape = data.shape

    def data_numbers(self) -> np.ndarray:
        return self._data


def write_solver_state(
    path: str | os.PathLike,
    iteration: int,
    learned_net: str,
    history: Iterable[np.ndarray],
    current_step: int,
) -> None:
    """Write a binary solverstate; ``history`` are arrays of the parameters' shapes."""
    name = os.fsencode(learned_net)
    with atomic_write(path) as file:
        file.write(wire.varint(_ITER << 3) + wire.varint(iteration))
        file.write(wire.varint(_NET << 3 | wire.BYTES) + wire.varint(len(name)) + name)
        for array in history:
            blob_writer(_HISTORY, _Array(array), diff=False)[1](file)
        file.write(wire.varint(_STEP << 3) + wire.varint(current_step))
