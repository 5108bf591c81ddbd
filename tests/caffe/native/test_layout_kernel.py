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
@pytest.mark.parametrize(
    "shape",
    [
        (1, 3, 5, 7),
        (2, 33, 9, 11),
        (3, 16, 4, 4),
        (1, 1, 1, 1),
        (2, 1, 9, 11),
        (2, 2, 9, 11),
        (2, 3, 16, 2),
        (1, 4, 5, 5),
        (64, 3, 1, 1),
    ],
)
def test_a_map_comes_back_as_it_was(shape, threads):
    x = torch.randn(shape)
    found, back, memory = _there_and_back(x, 5, threads)
    assert found == 0
    assert torch.equal(back, x)
    assert torch.equal(memory[..., : shape[1]], x.permute(0, 2, 3, 1))
    assert bool((memory[..., shape[1] :] == 7).all())


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("image", [(3, 5), (4, 4), (7, 9), (1, 1)])
def test_dense_maps_of_few_channels(channels, image):
    x = torch.randn(2, channels, *image)
    memory = torch.full((x.numel() + 64,), 7.0)
    kernels = native.library()
    kernels.kernels_new.restype = ctypes.c_void_p
    program = ctypes.c_void_p(kernels.kernels_new())
    of = Map(memory[32:].data_ptr(), 2, *image, channels, channels)
    assert kernels.kernels_import(program, 0, ctypes.byref(of)) == 0
    slots = (ctypes.c_void_p * 1)(x.data_ptr())
    assert kernels.kernels_run(program, 2, slots) == 0
    found = memory[32:-32].view(2, *image, channels)
    assert torch.equal(found, x.permute(0, 2, 3, 1))
    assert bool((memory[:32] == 7).all() and (memory[-32:] == 7).all())
    x.view(-1)[-1] = float("nan")
    assert kernels.kernels_run(program, 2, slots) == 1
    kernels.kernels_free(program)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_is_not_finite_is_told(value):
    x = torch.randn(1, 5, 9, 9)
    x[0, 4, 8, 8] = value
    found, back, _ = _there_and_back(x, 0, 2)
    assert found == 1
    assert torch.equal(back.nan_to_num(), x.nan_to_num())
