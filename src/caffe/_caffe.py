"""pycaffe's extension module by name, for scripts that import from it: the classes are ours."""

from caffe.blob import Blob, BlobVec, RawBlobVec
from caffe.device import set_device, set_mode_cpu, set_mode_gpu
from caffe.glog import init_log, log
from caffe.layer import type_list
from caffe.layer.python import LayerVec
from caffe.layer.python import PythonLayer as Layer
from caffe.net import Net, NetVec
from caffe.parallel import (
    NCCL,
    has_nccl,
    set_multiprocess,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from caffe.proto.caffe_pb2 import LayerParameter, SolverParameter
from caffe.rng import set_random_seed
from caffe.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    Solver,
    get_solver,
)
from caffe.timer import Timer
from caffe.vectors import BoolVec, DtypeVec, IntVec, StringVec

__version__ = "1.0.0"

__all__ = [
    "NCCL",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Blob",
    "BlobVec",
    "BoolVec",
    "DtypeVec",
    "IntVec",
    "Layer",
    "LayerParameter",
    "LayerVec",
    "NesterovSolver",
    "Net",
    "NetVec",
    "RMSPropSolver",
    "RawBlobVec",
    "SGDSolver",
    "Solver",
    "SolverParameter",
    "StringVec",
    "Timer",
    "get_solver",
    "has_nccl",
    "init_log",
    "layer_type_list",
    "log",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
]


def layer_type_list() -> StringVec:
    """The names of all layer types, in alphabetical order."""
    return StringVec(type_list())
