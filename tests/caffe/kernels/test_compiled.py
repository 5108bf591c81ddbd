"""Operators as one program of oneDNN's graph compiler."""

import pytest
import torch

from caffe.kernels import compiled

needs_compiler = pytest.mark.skipif(
    not compiled.available(), reason="this PyTorch has no compiler of oneDNN's graphs"
)


WEIGHT = torch.full((4, 3, 3, 3), 0.1)


def chain(x):
    y = torch.relu(torch.conv2d(x, WEIGHT, None, [1, 1], [1, 1]))
    return y, torch.max_pool2d(y, [2, 2], [2, 2])


@needs_compiler
def test_a_program_gives_what_its_operators_give():
    x = torch.randn(1, 3, 8, 6)
    program = compiled.compiled(chain, [x])
    for shape in (1, 3, 8, 6), (2, 3, 5, 5):  # of other shapes too
        x = torch.randn(shape)
        for found, expected in zip(program(x), chain(x)):
            torch.testing.assert_close(found, expected)


@needs_compiler
def test_the_switch_of_the_process_is_as_before():
    compiled.compiled(chain, [torch.ones(1, 3, 8, 8)])
    assert not torch._C._jit_llga_enabled()


def test_what_onednn_does_not_compile_is_refused():
    assert compiled.compiled(lambda x: (x.cumsum(0),), [torch.ones(3)]) is None


def test_without_the_compiler_there_is_none(monkeypatch):
    monkeypatch.delattr(torch._C, "_jit_set_llga_enabled")
    assert compiled.compiled(chain, [torch.ones(1, 3, 8, 8)]) is None
    compiled._works.cache_clear()
    try:
        assert not compiled.available()
    finally:
        compiled._works.cache_clear()
