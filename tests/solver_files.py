"""What the tests of solvers are made of: small nets, and the cases of golden/solver.py."""

import importlib.util
from pathlib import Path

import numpy as np

from caffe import solver as solvers

GOLDEN = Path(__file__).parent / "caffe" / "golden"


def golden_module(name):
    spec = importlib.util.spec_from_file_location(f"golden_{name}", GOLDEN / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden = golden_module("solver")

SGD = 'base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 random_seed: 1 '


def make(text, net=golden.NET, cls=None):
    Path("solver.prototxt").write_text(f"net_param {{ {net} }} {text}")
    return (cls or solvers.get_solver)("solver.prototxt")


def params(solver):
    return {
        f"{name}.{i}": blob.data.copy()
        for name, blobs in solver.net.params.items()
        for i, blob in enumerate(blobs)
    }


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)
