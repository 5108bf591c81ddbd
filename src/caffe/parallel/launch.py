"""Starting one training process for each device, and ending all of them when one fails.

The calling process trains nothing: it starts the workers (worker.py), waits, hands requests of the
user on to rank 0, and when a worker fails ends the others and raises the one error that began it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from caffe.arithmetic import deterministic, precision
from caffe.errors import DeviceError
from caffe.parallel import rendezvous
from caffe.parallel.worker import Job, train
from caffe.proto import caffe_pb2
from caffe.prototxt import read_solver
from caffe.solver.actions import Action
from caffe.solver.signals import SignalHandler

__all__ = ["train_on"]

_GRACE = 10.0  # seconds: for the others to notice that one is gone, and then to heed SIGTERM
_POLL = 0.05
_WORKER = "import sys; from caffe.parallel.worker import main; sys.exit(main(sys.argv[1]))"


def train_on(
    devices: Sequence[int | str],
    solver: Any,
    snapshot: str | os.PathLike[str] = "",
    weights: Sequence[str | os.PathLike[str]] = (),
    *,
    sigint_effect: str = "stop",
    sighup_effect: str = "snapshot",
    timeout: float = 1800.0,
    source: str = "<solver>",
) -> int:
    """Train as ``caffe train`` does, with one process for each device.

    Under torchrun this process is one of the workers already: it trains on the device of its local
    rank and starts no other.  Of one device given, ``n``, the local rank counts from there on.
    Signals are torchrun's there: it ends all workers.

    Args:
        devices: GPU numbers, or "cpu" for each worker on the CPU.
        solver: the solver prototxt's name, or a SolverParameter.
        snapshot: a solverstate to continue from; the solver's ``weights`` then count for nothing.
        weights: caffemodels to begin with, instead of the solver's ``weights``.
        sigint_effect: what SIGINT to this process does: "stop", "snapshot" or "none".
        sighup_effect: likewise for SIGHUP.
        timeout: see :class:`caffe.NCCL`.
        source: what messages call a SolverParameter.

    Returns:
        0, the exit status, after the whole training and after a stop that was asked for.

    Raises:
        DeviceError: no device, or a worker failed: its error, and which worker it was.
        Error: under torchrun, this worker's own error.
    """
    param, source = _param(solver, source)
    if snapshot or weights:
        param.ClearField("weights")
    if not snapshot:
        param.weights.extend(os.fsdecode(w) for w in weights)
    if not rendezvous.in_torchrun() and not devices:
        raise DeviceError("no device to train on: give GPU numbers, or 'cpu' for each worker")
    with tempfile.TemporaryDirectory(prefix="caffe-train-") as folder:
        path = os.path.join(folder, "solver")
        Path(path).write_bytes(param.SerializeToString())
        job = Job(path, source, "cpu", 0, len(devices), "", os.fsdecode(snapshot), timeout)
        job = replace(job, precision=precision(), deterministic=deterministic())
        if rendezvous.in_torchrun():
            _train_in_torchrun(job, devices)
            return 0
        uid = rendezvous.new_uid().decode()
        jobs = [
            replace(job, device=device, rank=rank, uid=uid, report=os.path.join(folder, str(rank)))
            for rank, device in enumerate(devices)
        ]
        handler = SignalHandler(Action(sigint_effect), Action(sighup_effect))
        if threading.current_thread() is threading.main_thread():  # where signals arrive
            with handler:
                _supervise(jobs, handler)
        else:
            _supervise(jobs, handler)
    return 0


def _param(solver: Any, source: str) -> tuple[Any, str]:
    """The SolverParameter, which may be changed, and a name for it."""
    if isinstance(solver, caffe_pb2.SolverParameter):
        own = caffe_pb2.SolverParameter()
        own.CopyFrom(solver)
        return own, source
    path = os.fsdecode(solver)
    return read_solver(path), path


def _train_in_torchrun(job: Job, devices: Sequence[int | str]) -> None:
    rank, count = rendezvous.place_from_torchrun()
    local = rendezvous.local_rank()
    if len(devices) > 1:
        if local >= len(devices):
            raise DeviceError(
                f"torchrun started more processes on this machine than devices are given: process "
                f"{local} (from 0), devices {', '.join(map(str, devices))}. Make --nproc-per-node "
                f"{len(devices)}."
            )
        device = devices[local]
    else:
        first = devices[0] if devices else "cpu"
        device = first if first == "cpu" else int(first) + local
    uid = rendezvous.ENVIRONMENT.decode()
    train(replace(job, device=device, rank=rank, count=count, uid=uid))


# The workers' processes ---------------------------------------------------------------------------


def _start(job: Job) -> subprocess.Popen[bytes]:
    environment = dict(os.environ)
    # The worker finds what this process finds: caffe itself, and the modules of Python layers.
    environment["PYTHONPATH"] = os.pathsep.join(p or os.getcwd() for p in sys.path)
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER, json.dumps(asdict(job))],
        env=environment,
        stdin=subprocess.PIPE,  # carries requests; closed when this process ends, however it ends
        start_new_session=True,  # a terminal's Ctrl-C comes to this process alone
    )


def _supervise(jobs: list[Job], requests: Callable[[], Action]) -> None:
    """Run the workers to the end.  When rank 0 has finished well, so has the training."""
    workers: list[subprocess.Popen[bytes]] = []
    try:
        workers += [_start(job) for job in jobs]
        while workers[0].poll() is None and not _failed(workers):
            _request(workers[0], requests())
            time.sleep(_POLL)
        _wait(workers, _GRACE)  # let the others finish, or notice and say why they cannot
        done = workers[0].poll() == 0
    finally:
        _end(workers)
    if not done:
        raise DeviceError(_what_failed(jobs, workers))


def _request(worker: subprocess.Popen[bytes], action: Action) -> None:
    if action is not Action.NONE:
        with contextlib.suppress(OSError):  # it has just ended
            _input(worker).write(action.value.encode() + b"\n")
            _input(worker).flush()


def _input(worker: subprocess.Popen[bytes]) -> IO[bytes]:
    if worker.stdin is None:
        raise ValueError("a worker was started without a pipe to its input")
    return worker.stdin


def _failed(workers: list[subprocess.Popen[bytes]]) -> bool:
    return any(w.poll() not in (None, 0) for w in workers)


def _wait(workers: list[subprocess.Popen[bytes]], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(w.poll() is None for w in workers) and time.monotonic() < end:
        time.sleep(_POLL)


def _end(workers: list[subprocess.Popen[bytes]]) -> None:
    """End what still runs; first by asking."""
    for stop in (signal.SIGTERM, signal.SIGKILL):
        running = [w for w in workers if w.poll() is None]
        for w in running:
            w.send_signal(stop)
        _wait(running, _GRACE)
    for w in workers:
        with contextlib.suppress(OSError):
            _input(w).close()
        w.wait()


def _what_failed(jobs: list[Job], workers: list[subprocess.Popen[bytes]]) -> str:
    """The error that began it: a worker's own before that of one whose peer was gone."""
    own: list[str] = []
    silent: list[str] = []
    peer: list[str] = []
    for job, worker in zip(jobs, workers):
        device = "the CPU" if job.device == "cpu" else f"GPU {job.device}"
        where = f"solver {job.rank} of {job.count} on {device}"
        if os.path.exists(job.report):
            report = json.loads(Path(job.report).read_text("utf-8"))
            (peer if report["peer"] else own).append(f"{where}: {report['message']}")
        elif worker.returncode:
            code = worker.returncode
            how = f"exited with {code}"
            if code < 0:
                how = f"was ended by {signal.Signals(-code).name}"
            silent.append(f"{where} {how} without an error of its own; the others were ended too")
    # One that had to be ended after the failure says nothing either: a worker's own error first.
    return next(iter(own + silent + peer))
