"""Winograd's way on tiles: what it takes, its threads, its accuracy (forward: test_winograd.py)."""

import ctypes
import threading

import pytest
import torch

from caffe import Error, native
from caffe.kernels import winograd as by_torch
from caffe.native.program import Map
from caffe.native.winograd import Winograd

needs_native = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")


def _case(h, w, c, o, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(h, w, c, generator=g)
    weight = torch.randn(o, c, 3, 3, generator=g) * (2 / (9 * c)) ** 0.5
    want = torch.conv2d(x.double().permute(2, 0, 1)[None], weight.double(), padding=1)
    return x, weight, want[0].permute(1, 2, 0)


@needs_native
@pytest.mark.parametrize("size", [(20, 18, 64, 64), (13, 27, 33, 130), (9, 9, 300, 260)])
def test_it_is_as_close_to_float64_as_float32_allows(size):
    x, weight, want = _case(*size)
    y = torch.empty(size[0], size[1], size[3])
    Winograd(by_torch.transform_weights(weight)).forward(x, None, y)
    assert (y - want).abs().max() <= 3e-6 * want.abs().max()


@needs_native
def test_threads_give_the_same_bits():
    x, weight, _ = _case(45, 38, 64, 96)
    prepared = Winograd(by_torch.transform_weights(weight))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            y = torch.empty(45, 38, 96)
            prepared.forward(x, None, y)
            found.append(y)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


@needs_native
def test_several_python_threads_may_share_it():
    cases = [_case(24, 24, 32, 48, seed) for seed in range(2)]
    weight = cases[0][1]
    prepared = Winograd(by_torch.transform_weights(weight))
    wrong = []

    def work(x):
        want = torch.conv2d(x.double().permute(2, 0, 1)[None], weight.double(), padding=1)
        for _ in range(20):
            y = torch.empty(24, 24, 48)
            prepared.forward(x, None, y)
            if (y - want[0].permute(1, 2, 0)).abs().max() > 3e-6 * want.abs().max():
                wrong.append(x)

    threads = [threading.Thread(target=work, args=(x,)) for x, _, _ in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_native
def test_a_slice_of_a_wider_map_keeps_its_neighbours():
    x, weight, want = _case(11, 14, 20, 35)
    wide_x, wide_y = torch.full((11, 14, 29), 7.0), torch.full((11, 14, 50), 7.0)
    wide_x[..., 4:24] = x
    Winograd(by_torch.transform_weights(weight)).forward(wide_x[..., 4:24], None, wide_y[..., 9:44])
    assert (wide_y[..., 9:44] - want).abs().max() <= 3e-6 * want.abs().max()
    assert bool((wide_y[..., :9] == 7).all() and (wide_y[..., 44:] == 7).all())


@needs_native
@pytest.mark.parametrize(
    "x",
    [torch.zeros(4, 4, 2), torch.zeros(4, 4, 3).double(), torch.zeros(3, 4, 4).permute(1, 2, 0)],
)
def test_what_does_not_fit_is_named(x):
    prepared = Winograd(by_torch.transform_weights(torch.zeros(5, 3, 3, 3)))
    with pytest.raises(Error, match=r"takes float32 of \(4, 4, 3\), channels last"):
        prepared.forward(x, None, torch.zeros(4, 4, 5))


def test_without_the_kernels_it_says_why(monkeypatch):
    monkeypatch.setattr(native, "_load", lambda: native._Loaded(None, "the processor lacks fma"))
    with pytest.raises(Error, match="cannot be used: the processor lacks fma"):
        Winograd(torch.zeros(24, 1, 1))


@needs_native
@pytest.mark.parametrize("threads", [1, 2])
def test_as_an_operation_of_a_program(threads):
    """With several images; without a finish."""
    kernels = native.library()
    g = torch.Generator().manual_seed(1)
    x, weight = torch.randn(2, 7, 10, 19, generator=g), torch.randn(21, 19, 3, 3, generator=g)
    y, u = torch.full((2, 7, 10, 24), 7.0), by_torch.transform_weights(weight)
    kernels.kernels_new.restype = ctypes.c_void_p
    program = ctypes.c_void_p(kernels.kernels_new())
    source, target = Map(x.data_ptr(), 2, 7, 10, 19, 19), Map(y.data_ptr(), 2, 7, 10, 21, 24)
    given = ctypes.byref(source), ctypes.byref(target), None, ctypes.c_void_p(u.data_ptr()), None
    assert kernels.kernels_winograd(program, *given) == 0
    assert kernels.kernels_run(program, threads, None) == 0
    kernels.kernels_free(program)
    want = torch.conv2d(x.double().permute(0, 3, 1, 2), weight.double(), padding=1)
    assert (y[..., :21] - want.permute(0, 2, 3, 1)).abs().max() <= 3e-6 * want.abs().max()
    assert bool((y[..., 21:] == 7).all())
