"""Caffe on PyTorch: the interface, numbers and file formats of pycaffe 1.0.

``caffe.Net``, the solvers, ``caffe.layers``/``caffe.params``/``caffe.NetSpec``, ``caffe.io`` and
the rest are pycaffe's; ``caffe.__engine__`` says that this engine, not BVLC's, is running.
"""

from caffe import _malloc, _shadow, io, net_spec
from caffe.device import set_device, set_mode_cpu, set_mode_gpu
from caffe.errors import Error
from caffe.glog import init_log, log
from caffe.layer import type_list as layer_type_list
from caffe.layer.python import PythonLayer as Layer
from caffe.net import Net
from caffe.net_spec import NetSpec, layers, params, to_proto
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
from caffe.zero_weights import ZeroWeightsWarning

_shadow.warn_of_other()  # a clear word where another package `caffe` is in the way
_malloc.keep_memory()

__version__ = "1.0.0"  # the pycaffe version whose interface this is
__engine__ = f"pycaffe-torch {_shadow.own_version()}"

__all__ = [
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Error",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "ZeroWeightsWarning",
    "get_random_state",
    "get_solver",
    "init_log",
    "io",
    "layer_type_list",
    "layers",
    "log",
    "net_spec",
    "params",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_random_seed",
    "set_random_state",
    "to_proto",
]
