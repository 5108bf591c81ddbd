"""Which of how many solvers the calling thread's is.

As in pycaffe this belongs to the thread and starts as one solver of rank 0.  A script that trains
with several sets it before it makes its solver: the solver adds the rank to ``random_seed``, the
Data and HDF5Data layers of a TRAIN net read every ``solver_count()``-th record, and only rank 0
logs, tests and writes snapshots.
"""

from __future__ import annotations

import operator
import threading

from caffe.errors import DeviceError

__all__ = [
    "has_nccl",
    "is_root",
    "multiprocess",
    "set_multiprocess",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]


class _Place(threading.local):
    count: int = 1
    rank: int = 0
    multiprocess: bool = False


_place = _Place()


def has_nccl() -> bool:
    """Whether solvers can train together: true wherever PyTorch has ``torch.distributed``."""
    import torch.distributed  # not at the top: logging needs this file, and no PyTorch

    return torch.distributed.is_available()


def solver_count() -> int:
    """How many solvers train together."""
    return _place.count


def solver_rank() -> int:
    """Which of them this thread's is, from 0."""
    return _place.rank


def is_root() -> bool:
    """Whether this is rank 0, the one that logs, tests and writes snapshots."""
    return _place.rank == 0


def multiprocess() -> bool:
    """Whether the solvers are in processes of their own, as :class:`caffe.NCCL` has them."""
    return _place.multiprocess


def set_solver_count(count: int) -> None:
    """Say how many solvers train together; raises DeviceError for less than one."""
    _place.count = _whole("solver count", count, 1)


def set_solver_rank(rank: int) -> None:
    """Say which of them this thread's is; raises DeviceError for a negative one.

    That it is below the count is checked where both are used, in :class:`caffe.NCCL`: scripts set
    them in either order.
    """
    _place.rank = _whole("solver rank", rank, 0)


def set_multiprocess(on: bool) -> None:
    """Say that the solvers are in processes of their own (they always are here)."""
    _place.multiprocess = bool(on)


def _whole(what: str, value: int, least: int) -> int:
    number = operator.index(value)
    if number < least:
        raise DeviceError(f"the {what} is {least} or more, received {number}")
    return number
