"""Caffe on PyTorch: the interface, numbers and file formats of pycaffe 1.0.

``caffe.Net``, the solvers, ``caffe.layers``/``caffe.params``/``caffe.NetSpec``, ``caffe.io`` and
the rest are pycaffe's; ``caffe.__engine__`` says that this engine, not BVLC's, is running.
"""

from caffe import _waiting

_waiting.let_threads_sleep()  # has to come before anything that imports PyTorch

# ruff: noqa: E402
from caffe import (
    _caffe,
    _forking,
    _malloc,
    _shadow,
    classifier,
    detector,
    io,
    net_spec,
    proto,
    pycaffe,
)
from caffe._caffe import layer_type_list
from caffe.classifier import Classifier
from caffe.detector import Detector
from caffe.device import set_device, set_mode_cpu, set_mode_gpu
from caffe.errors import Error
from caffe.former_api import missing as _missing
from caffe.glog import init_log, log
from caffe.layer.python import PythonLayer as Layer
from caffe.net import Net
from caffe.net.replay import graphs, set_graphs
from caffe.net.zero_weights import ZeroWeightsWarning
from caffe.net_spec import NetSpec, layers, params, to_proto
from caffe.parallel import (
    NCCL,
    has_nccl,
    set_multiprocess,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from caffe.precision import deterministic, precision, set_deterministic, set_precision
from caffe.proto.caffe_pb2 import TEST, TRAIN
from caffe.rng import get_random_state, set_random_seed, set_random_state
from caffe.solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)
from caffe.timer import Timer

_shadow.warn_of_other()  # a clear word where another package `caffe` is in the way
_malloc.keep_memory()
_forking.compute_after_fork()

__version__ = _caffe.__version__  # the pycaffe version whose interface this is
__engine__ = f"pycaffe-torch {_shadow.own_version()}"

__all__ = [
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Classifier",
    "Detector",
    "Error",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
    "ZeroWeightsWarning",
    "classifier",
    "detector",
    "deterministic",
    "get_random_state",
    "get_solver",
    "graphs",
    "has_nccl",
    "init_log",
    "io",
    "layer_type_list",
    "layers",
    "log",
    "net_spec",
    "params",
    "precision",
    "proto",
    "pycaffe",
    "set_deterministic",
    "set_device",
    "set_graphs",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_precision",
    "set_random_seed",
    "set_random_state",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
    "to_proto",
]


def __getattr__(name: str) -> object:
    raise _missing("caffe", name)
