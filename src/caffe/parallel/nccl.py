"""NCCL: what joins the solvers of several processes, with pycaffe's interface.

Each process has its own solver, net and batch.  After the backward pass the gradients are summed
over the processes and divided by their number, before clipping, normalising by ``iter_size`` and
weight decay, as in BVLC Caffe; then every process makes the same update.  Losses and BatchNorm's
statistics stay local.  The messages go through ``torch.distributed``: NCCL between GPUs, Gloo
between CPUs.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import weakref
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from caffe.device import current
from caffe.errors import DeviceError, SolverError
from caffe.parallel import rendezvous
from caffe.parallel.exchange import Exchange, in_buckets
from caffe.rank import set_multiprocess, solver_count, solver_rank

if TYPE_CHECKING:
    from caffe.blob import Blob
    from caffe.solver import Solver

__all__ = ["NCCL", "PeerError"]


class PeerError(DeviceError):
    """Another solver stopped, so this one cannot go on: the reason is in the other's output."""


class NCCL:
    """The link from this process's solver to the others.

    ::

        caffe.set_solver_count(2)
        caffe.set_solver_rank(rank)
        solver = caffe.SGDSolver("solver.prototxt")
        nccl = caffe.NCCL(solver, uid)          # waits for the other processes
        nccl.bcast()                            # all begin with rank 0's weights
        solver.add_callback(nccl)               # average the gradients before each update
        if solver.param.layer_wise_reduce:
            solver.net.after_backward(nccl)     # ... each layer's as soon as it is computed
        solver.step(solver.param.max_iter)

    Args:
        solver: this process's solver.
        uid: what :meth:`new_uid` returned, the same in every process.
        timeout: seconds after which waiting for another process fails.  It has to cover rank 0's
            tests and snapshots, during which the others wait.

    Raises:
        DeviceError: the uid, rank and count do not fit, or another NCCL is open in this process.
        PeerError: the others did not come, or train another net.
    """

    _open: weakref.WeakSet[NCCL] = weakref.WeakSet()

    def __init__(self, solver: Solver, uid: bytes | str, timeout: float = 1800.0) -> None:
        self._solver = solver
        self._rank, self._count = solver_rank(), solver_count()
        if self._rank >= self._count:
            raise DeviceError(
                f"solver rank {self._rank} of {self._count} solvers: ranks are 0 to "
                f"{self._count - 1}. Call caffe.set_solver_count() and caffe.set_solver_rank() "
                "before the solver is made."
            )
        set_multiprocess(True)
        self._under_way: list[tuple[Exchange, list[Blob]]] = []
        self._averaged: set[int] = set()  # which parameters, since the iteration began
        self._passes_left: int | None = None  # None: not within an iteration of the solver
        params = solver.net.learnable
        # Frozen parameters have no gradient: nothing to send.
        self._trained = [k for k, p in enumerate(params) if p.lr_mult != 0]
        self._blobs = [p.blob for p in params]
        self._of_layer: dict[int, list[int]] = {}
        for k in self._trained:
            self._of_layer.setdefault(params[k].layer, []).append(k)
        self._last_layer = len(solver.net.layers) - 1
        self._joined = False
        self._join(uid, timedelta(seconds=timeout))

    @staticmethod
    def new_uid() -> bytes:
        """The bytes by which the processes of one training run find each other; see NCCL(uid=)."""
        return rendezvous.new_uid()

    # As in pycaffe ------------------------------------------------------------------------------

    def bcast(self) -> None:
        """Give every process rank 0's parameters (BatchNorm's statistics are among them)."""
        with self._together("sending the weights"), torch.no_grad():
            for group in in_buckets(blob.data_tensor() for blob in self._blobs):
                Exchange.from_root(group).finish()
            for blob in self._blobs:
                blob.touch_data()

    def on_start(self) -> None:
        """The solver's callback before the passes of an iteration."""
        self._under_way.clear()
        self._averaged.clear()
        self._passes_left = self._solver.param.iter_size

    def on_gradients_ready(self) -> None:
        """The solver's callback before an update: average what is not averaged yet."""
        with self._together("averaging the gradients"), torch.no_grad():
            self._start([k for k in self._trained if k not in self._averaged])
            self._finish()
        self._averaged.clear()
        self._passes_left = None

    def run(self, layer: int) -> None:
        """The net's callback after the backward pass of layer number ``layer``.

        Starts averaging this layer's gradients while the layers below compute theirs, in the last
        of the ``iter_size`` passes (BVLC does it in each, with the same result).  A parameter
        that several layers share belongs to the first of them, which is the last to run backward.
        """
        if not self._solver.param.layer_wise_reduce:
            raise SolverError(
                "net.after_backward(nccl) averages layer by layer, which layer_wise_reduce: false "
                "in the solver forbids: use solver.add_callback(nccl) alone"
            )
        if layer == self._last_layer and self._passes_left:
            self._passes_left -= 1
        if self._passes_left:
            return
        with self._together("averaging the gradients"), torch.no_grad():
            self._start(self._of_layer.get(layer, []))
            if layer == 0:
                self._finish()

    __call__ = run

    # Beyond pycaffe -------------------------------------------------------------------------------

    def close(self) -> None:
        """Leave the group.  Done by itself at the end of the process."""
        if self._joined:
            self._joined = False
            NCCL._open.discard(self)
            with contextlib.suppress(RuntimeError, ValueError):  # a peer may be gone already
                dist.destroy_process_group()

    # Inside ---------------------------------------------------------------------------------------

    def _start(self, which: list[int]) -> None:
        self._averaged.update(which)
        blobs = [self._blobs[k] for k in which]
        tensors = [blob.diff_tensor() for blob in blobs]
        for group in in_buckets(tensors):
            mine, blobs = blobs[: len(group)], blobs[len(group) :]
            self._under_way.append((Exchange.sum(group), mine))

    def _finish(self) -> None:
        for exchange, blobs in self._under_way:
            exchange.finish(1.0 / self._count)
            for blob in blobs:
                blob.touch_diff()
        self._under_way.clear()

    def _join(self, uid: bytes | str, timeout: timedelta) -> None:
        if dist.is_initialized():
            raise DeviceError(
                "this process already belongs to a group of torch.distributed, of another NCCL or "
                "of its own: one solver in each process; call close() on the first NCCL, or "
                "torch.distributed.destroy_process_group()"
            )
        backend = "nccl" if current().torch_device.type == "cuda" else "gloo"
        if backend == "nccl" and not dist.is_nccl_available():
            backend = "gloo"  # it carries GPU tensors too, by way of the CPU
        with self._together("meeting the other solvers"):
            store = rendezvous.meet(uid, backend, self._rank, self._count, timeout)
        self._joined = True
        NCCL._open.add(self)
        with self._together("comparing the nets"):
            self._check_same_net(store)

    def _check_same_net(self, store: dist.Store) -> None:
        shapes = repr([blob.dims for blob in self._blobs]) + repr(self._trained)
        digest = hashlib.sha256(shapes.encode()).hexdigest()
        store.set(f"net of {self._rank}", digest)
        for rank in range(self._count):
            if store.get(f"net of {rank}").decode() != digest:
                self.close()
                raise DeviceError(
                    f"solver {self._rank} and solver {rank} train different nets: the shapes of "
                    "their parameters or what is frozen differ. Give every process the same "
                    "solver and net."
                )

    @contextlib.contextmanager
    def _together(self, what: str) -> Iterator[None]:
        """Turn an error of torch.distributed into one PeerError, and leave the group."""
        try:
            yield
        except DeviceError:
            raise
        except (RuntimeError, ValueError) as error:
            self.close()
            self._under_way.clear()
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else "no reason"
            raise PeerError(
                f"solver {self._rank} of {self._count}: {what} failed, because another solver "
                f"stopped or cannot be reached ({reason}). See the error of the one that stopped "
                "first; then start again from the last snapshot."
            ) from error


@atexit.register
def _close_all() -> None:
    for nccl in list(NCCL._open):
        nccl.close()
