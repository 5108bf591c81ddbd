"""Tests of programs of layers, for each kind of program alone."""

import pytest

from caffe import native
from caffe.net import compiled_step
from caffe.net.native_program import NativeProgram


@pytest.fixture(params=compiled_step.KINDS, ids=lambda kind: kind.__name__, autouse=True)
def kind(request, monkeypatch):
    """Programs of this kind alone, made in the second pass of the same shapes and weights."""
    if not request.param.available():
        is_native = request.param is NativeProgram
        pytest.skip(native.why_not() if is_native else "PyTorch has no compiler of oneDNN's graphs")
    monkeypatch.setattr(compiled_step, "KINDS", (request.param,))
    monkeypatch.setattr(request.param, "patience", 2)
    return request.param
