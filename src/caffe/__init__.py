"""Caffe on PyTorch: the interface, numbers and file formats of pycaffe 1.0.

``caffe.Net``, the solvers, ``caffe.layers``/``caffe.params``/``caffe.NetSpec``, ``caffe.io`` and
the rest are pycaffe's; ``caffe.__engine__`` says that this engine, not BVLC's, is running.

Names are imported when they are first used, because loading PyTorch takes seconds: a usage text, a
net written with NetSpec or a database filled by a tool needs none.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

from caffe import _collector, _forking, _malloc, _shadow, _waiting
from caffe.former_api import missing as _missing

_waiting.let_threads_sleep()  # before anything imports PyTorch
_shadow.warn_of_other()  # a clear word where another package `caffe` is in the way
_malloc.keep_memory()
_forking.compute_after_fork()

if TYPE_CHECKING:
    from caffe import classifier, detector, io, net_spec, proto, pycaffe
    from caffe._caffe import layer_type_list
    from caffe.arithmetic import deterministic, precision, set_deterministic, set_precision
    from caffe.classifier import Classifier
    from caffe.detector import Detector
    from caffe.device import set_device, set_mode_cpu, set_mode_gpu
    from caffe.errors import Error
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

__version__ = "1.0.0"  # the pycaffe version whose interface this is

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

# Where the names above come from; all others are this folder's own modules.
_FROM = {
    "caffe._caffe": "layer_type_list",
    "caffe.arithmetic": "deterministic precision set_deterministic set_precision",
    "caffe.classifier": "Classifier",
    "caffe.detector": "Detector",
    "caffe.device": "set_device set_mode_cpu set_mode_gpu",
    "caffe.errors": "Error",
    "caffe.glog": "init_log log",
    "caffe.net": "Net",
    "caffe.net.replay": "graphs set_graphs",
    "caffe.net.zero_weights": "ZeroWeightsWarning",
    "caffe.net_spec": "NetSpec layers params to_proto",
    "caffe.parallel": "NCCL has_nccl set_multiprocess set_solver_count set_solver_rank "
    "solver_count solver_rank",
    "caffe.proto.caffe_pb2": "TEST TRAIN",
    "caffe.rng": "get_random_state set_random_seed set_random_state",
    "caffe.solver": "AdaDeltaSolver AdaGradSolver AdamSolver NesterovSolver RMSPropSolver "
    "SGDSolver get_solver",
    "caffe.timer": "Timer",
}
_MODULE_OF = {name: module for module, names in _FROM.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Called for what is not here yet; what it finds stays."""
    value: object
    if name == "Layer":
        value = _load("caffe.layer.python").PythonLayer
    elif name == "__engine__":
        value = f"pycaffe-torch {_shadow.own_version()}"
    elif name in _MODULE_OF:
        value = getattr(_load(_MODULE_OF[name]), name)
    elif _is_module(name):
        return _load(f"caffe.{name}")
    else:
        raise _missing("caffe", name)
    globals()[name] = value
    return value


def _load(module: str) -> ModuleType:
    with contextlib.nullcontext() if module in sys.modules else _collector.resting():
        return importlib.import_module(module)  # PyTorch may come with it


def _is_module(name: str) -> bool:
    """Whether it is a module of this folder; ``caffe.draw`` has to be imported, as with pycaffe."""
    usable = name.isidentifier() and not name.startswith("__") and name != "draw"
    return usable and find_spec(f"caffe.{name}") is not None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__engine__", "_caffe"})  # pycaffe's core is loaded
