"""Training on several GPUs or machines, one process for each.

* ``caffe train --gpu 0,1`` starts a process for each GPU of this machine (:func:`train_on`).
* ``torchrun --nproc-per-node 2 -m caffe train --solver solver.prototxt`` does the same, on several
  machines with torchrun's ``--nnodes`` and ``--rdzv-endpoint``.
* A script of one's own uses :class:`NCCL` as with BVLC Caffe; the uid goes to each process.

Every process has the whole batch of the prototxt, so the effective batch is that times the number
of processes; ``random_seed`` gets the rank added.  Data and HDF5Data give each process other
records.  ImageData, WindowData, Python layers and the like do not split, as in BVLC Caffe: each
process would see the same order, so let a Python layer seed its order with
``caffe.solver_rank()``, or take every ``caffe.solver_count()``-th item from there on.
"""

from caffe.parallel.launch import train_on
from caffe.parallel.nccl import NCCL, PeerError
from caffe.parallel.rendezvous import in_torchrun, place_from_torchrun
from caffe.rank import (
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
    "NCCL",
    "PeerError",
    "has_nccl",
    "in_torchrun",
    "is_root",
    "multiprocess",
    "place_from_torchrun",
    "set_multiprocess",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
    "train_on",
]
