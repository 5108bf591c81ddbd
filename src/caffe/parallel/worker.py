"""One of the processes that train together; :mod:`caffe.parallel.launch` starts them.

:func:`train` is the whole of it, and what a process of torchrun does too.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from caffe import glog
from caffe.arithmetic import set_deterministic, set_precision
from caffe.device import set_device, set_mode_cpu, set_mode_gpu
from caffe.errors import Error
from caffe.parallel.nccl import NCCL, PeerError
from caffe.proto import caffe_pb2
from caffe.rank import is_root, set_multiprocess, set_solver_count, set_solver_rank
from caffe.solver import from_param
from caffe.solver.actions import Action

__all__ = ["Job", "Requests", "main", "train"]


@dataclass(frozen=True)
class Job:
    """What one worker is to do.

    Attributes:
        param: the file that holds the SolverParameter, in wire format.
        source: the solver prototxt's name, for messages.
        device: a GPU's number, or "cpu".
        report: the file in which a worker that fails leaves its error.
        precision, deterministic: as in the process that started it.
    """

    param: str
    source: str
    device: int | str
    rank: int
    count: int
    uid: str
    snapshot: str
    timeout: float
    report: str = ""
    precision: str = "fp32"
    deterministic: bool = False


def train(job: Job, requests: Callable[[], Action] | None = None) -> None:
    """Train to ``max_iter``; rank 0 tests and writes snapshots, the others only step.

    ``requests`` gives the user's next request, for rank 0.
    """
    set_precision(job.precision)
    set_deterministic(job.deterministic)
    if job.device == "cpu":
        set_mode_cpu()
    else:
        set_device(int(job.device))
        set_mode_gpu()
    set_solver_count(job.count)
    set_solver_rank(job.rank)
    set_multiprocess(True)
    param = caffe_pb2.SolverParameter.FromString(Path(job.param).read_bytes())
    if not is_root():
        param.ClearField("weights")  # rank 0's come by bcast
    solver = from_param(param, job.source)
    if requests is not None and is_root():
        solver.set_action_function(requests)
    if job.snapshot:
        glog.info("caffe", f"Resuming from {job.snapshot}")
        solver.restore(job.snapshot)
    nccl = NCCL(solver, job.uid, timeout=job.timeout)
    try:
        nccl.bcast()
        solver.add_callback(nccl)
        if param.layer_wise_reduce:
            solver.net.after_backward(nccl)
        glog.info("caffe", "Starting Optimization")
        if is_root():
            solver.solve()
        else:
            solver.step(param.max_iter - solver.iter)
        glog.info("caffe", "Optimization Done.")
    finally:
        nccl.close()


class Requests:
    """The user's requests, one word a line on standard input; called, it gives the next.

    The input's other end closes when the process that started this one is gone: then this one ends.
    """

    def __init__(self) -> None:
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def __call__(self) -> Action:
        return Action.NONE if self._words.empty() else Action(self._words.get())

    def _read(self) -> None:
        for line in sys.stdin:
            self._words.put(line.strip())
        os._exit(1)


def main(text: str) -> int:
    """Do the job; leave an error in its report for the process that started this one."""
    job = Job(**json.loads(text))
    try:
        train(job, Requests())
    except BaseException as error:
        if not isinstance(error, Error):
            traceback.print_exc()
        message = str(error) if isinstance(error, Error) else f"{type(error).__name__}: {error}"
        report = {"message": message, "peer": isinstance(error, PeerError)}
        Path(job.report).write_text(json.dumps(report), "utf-8")
        return 1
    return 0
