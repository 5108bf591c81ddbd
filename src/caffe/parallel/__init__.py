"""Training on several GPUs or machines, one process for each."""

from caffe.parallel.state import (
    has_nccl,
    is_root,
    multiprocess,
    set_multiprocess,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)

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
