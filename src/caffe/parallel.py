"""The parallel-training state that pycaffe scripts ask for: here one solver, of rank 0.

The setters take what is the case and refuse the rest: a script written for several GPUs gets an
error instead of training on one of them unnoticed.
"""

from __future__ import annotations

from caffe.errors import DeviceError

__all__ = [
    "has_nccl",
    "set_multiprocess",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]


def has_nccl() -> bool:
    """Whether solvers can train together through NCCL."""
    return False


def solver_count() -> int:
    """How many solvers train together."""
    return 1


def solver_rank() -> int:
    """Which of them this thread's is; rank 0 logs, tests and writes snapshots."""
    return 0


def set_solver_count(count: int) -> None:
    """Accepts 1; raises DeviceError for more."""
    _only("solver count", count, 1)


def set_solver_rank(rank: int) -> None:
    """Accepts 0; raises DeviceError for any other."""
    _only("solver rank", rank, 0)


def set_multiprocess(on: bool) -> None:
    """Accepts False; raises DeviceError for True."""
    _only("multiprocess", bool(on), False)


def _only(what: str, asked: int, possible: int) -> None:
    if asked != possible:
        raise DeviceError(
            f"{what} {asked} was asked for, but this version trains with one solver in one "
            f"process: expected {possible}. For a larger batch on one device use the solver's "
            "iter_size"
        )
