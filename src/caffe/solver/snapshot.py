"""Snapshots: a solver's weights and state to files and back, in either format.

Names as in BVLC Caffe: ``<prefix>_iter_<N>.caffemodel`` and ``.solverstate``, with ``.h5`` appended
for HDF5.  Every file appears whole or not at all.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import torch

from caffe import glog, weights
from caffe.device import current
from caffe.errors import SolverError, WeightsError
from caffe.weights import hdf5, solver_state

if TYPE_CHECKING:
    from caffe.solver import Solver

__all__ = ["check_writable", "restore", "save"]


def _name(solver: Solver, extension: str) -> str:
    return f"{solver.param.snapshot_prefix}_iter_{solver.iter}{extension}"


def check_writable(prefix: str) -> None:
    """Raise SolverError at the start rather than at the first snapshot."""
    probe = f"{prefix}_iter_0.tempfile-{secrets.token_hex(6)}"  # nobody's file
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.remove(probe)
    except OSError as error:
        raise SolverError(
            f"Cannot write to snapshot prefix '{prefix}': {error.strerror or error}. Make sure "
            "that the directory exists and is writable."
        ) from error


def save(solver: Solver) -> None:
    """Write the weights, then the state that names them."""
    param = solver.param
    history = solver.history_arrays()
    binary = param.snapshot_format == param.BINARYPROTO
    if binary:
        model = _name(solver, ".caffemodel")
        glog.info("solver", f"Snapshotting to binary proto file {model}")
        blobs = [blobs for _, blobs in solver.net.layer_params()]
        weights.write_net(model, solver.net.to_proto(), blobs, param.snapshot_diff)
        state = _name(solver, ".solverstate")
        glog.info("sgd_solver", f"Snapshotting solver state to binary proto file {state}")
    else:
        model = _name(solver, ".caffemodel.h5")
        glog.info("solver", f"Snapshotting to HDF5 file {model}")
        hdf5.write_net(model, solver.net.layer_params(), param.snapshot_diff)
        state = _name(solver, ".solverstate.h5")
        glog.info("sgd_solver", f"Snapshotting solver state to HDF5 file {state}")
    write = solver_state.write_binary if binary else solver_state.write_hdf5
    write(state, solver.iter, model, history, solver.current_step, _threads())


def _threads() -> int:
    """How many threads decide the order of sums: PyTorch's on the CPU, 0 on a GPU."""
    return torch.get_num_threads() if current().torch_device.type == "cpu" else 0


def _state_beside(path: str) -> str:
    stem, _, end = path.rpartition(".caffemodel")
    return f"{stem}.solverstate{end}"


def restore(solver: Solver, path: str) -> None:
    """Continue from a solverstate; test nets follow at the next test.

    Raises:
        WeightsError: a file is missing, damaged or of another net or solver type; the solver's
            state is then as it was.
    """
    if path.endswith((".caffemodel", ".caffemodel.h5")):
        raise WeightsError(
            f"{path} is a file of weights, not a solverstate: to go on where training stopped give "
            f"the file of the same name with .solverstate, {_state_beside(path)!r}; to begin anew "
            "from these weights load them into the net (caffe train: -weights)"
        )
    state = solver_state.read_solver_state(path)
    shapes = solver.history_shapes()
    if len(state.history) != len(shapes):
        raise WeightsError(
            f"{path}: Incorrect length of history blobs: expected {len(shapes)} for this net and "
            f"solver type ({solver.type}), the file has {len(state.history)}"
        )
    for k, (stored, shape) in enumerate(zip(state.history, shapes)):
        if not stored.matches(shape):
            raise WeightsError(
                f"{path}: history blob {k} has the shape {stored.describe_shape()}, the net's "
                f"parameter {' '.join(map(str, shape))}. The state belongs to another net."
            )
    arrays = (stored.array() for stored in state.history)
    # None: zeros, so that layers that were frozen from the start stay untouched.
    history = [torch.from_numpy(a) if a.any() else None for a in arrays]
    if state.learned_net:
        if not os.path.exists(state.learned_net):
            raise WeightsError(
                f"{path} continues the weights '{state.learned_net}', which do not exist. The path "
                "is relative to the directory the training ran in: start from there."
            )
        solver.net.copy_from(state.learned_net)
    threads = _threads()
    if state.threads and threads and state.threads != threads:
        glog.warning(
            "solver",
            f"{path} was written with {state.threads} threads, this process has {threads}: sums "
            "are added in another order, so results differ in the last bits. OMP_NUM_THREADS="
            f"{state.threads} gives the same.",
        )
    if not weights.is_hdf5(path):  # BVLC is silent for HDF5
        glog.info("sgd_solver", "SGDSolver: restoring history")
    solver.set_state(state.iter, state.current_step, history)
