"""Crossings between Caffe's layout and the maps of native programs."""

import ctypes

import pytest
import torch

from caffe import native
from caffe.native.program import Map

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")


def _there_and_back(x, extra, threads):
    """The return value, what came back, and the map with ``extra`` channels not its own."""
    kernels = native.library()
    kernels.kernels_new.restype = ctypes.c_void_p
    program = ctypes.c_void_p(kernels.kernels_new())
    n, c, h, w = x.shape
    back, memory = torch.full_like(x, 9), torch.full((n, h, w, c + extra), 7.0)
    of = Map(memory.data_ptr(), n, h, w, c, c + extra)
    assert kernels.kernels_import(program, 0, ctypes.byref(of)) == 0
    assert kernels.kernels_export(program, ctypes.byref(of), 1) == 0
    slots = (ctypes.c_void_p * 2)(x.data_ptr(), back.data_ptr())
    found = kernels.kernels_run(program, threads, slots)
    kernels.kernels_free(program)
    return found, back, memory


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shape", [(1, 3, 5, 7), (2, 33, 9, 11), (3, 16, 4, 4), (1, 1, 1, 1)])
def test_a_map_comes_back_as_it_was(shape, threads):
    x = torch.randn(shape)
    found, back, memory = _there_and_back(x, 5, threads)
    assert found == 0
    assert torch.equal(back, x)
    assert torch.equal(memory[..., : shape[1]], x.permute(0, 2, 3, 1))
    assert bool((memory[..., shape[1] :] == 7).all())


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_is_not_finite_is_told(value):
    x = torch.randn(1, 5, 9, 9)
    x[0, 4, 8, 8] = value
    found, back, _ = _there_and_back(x, 0, 2)
    assert found == 1
    assert torch.equal(back.nan_to_num(), x.nan_to_num())
