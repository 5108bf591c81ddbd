"""Winograd's way against float64: forward, gradients, windows, odd sizes."""

import pytest
import torch

from caffe import native
from caffe.kernels import winograd
from caffe.native.winograd import Winograd as NativeWinograd


def case(h, w, c, o):
    g = torch.Generator().manual_seed(h * 1000 + w)
    x = torch.randn(h, w, c, generator=g)
    weight = torch.randn(o, c, 3, 3, generator=g) * (2 / (9 * c)) ** 0.5
    return x, weight, torch.randn(o, generator=g), torch.randn(h, w, o, generator=g)


def conv64(x, weight, bias=None):
    b = None if bias is None else bias.double()
    y = torch.conv2d(x.double().permute(2, 0, 1)[None], weight.double(), b, padding=1)
    return y[0].permute(1, 2, 0)


#: From weights to what forward() takes.
PREPARED = [
    winograd.transform_weights,
    pytest.param(
        lambda weight: NativeWinograd(winograd.transform_weights(weight)),
        marks=pytest.mark.skipif(not native.available(), reason=native.why_not() or "available"),
    ),
]
both = pytest.mark.parametrize("prepare", PREPARED, ids=["torch", "native"])
SIZES = [(4, 2, 32, 32), (1, 1, 3, 5), (5, 3, 8, 4), (23, 41, 16, 24), (37, 30, 32, 48)]


@both
@pytest.mark.parametrize("size", SIZES)
def test_forward(size, prepare):
    x, weight, bias, _ = case(*size)
    y = torch.empty(size[0], size[1], size[3])
    winograd.forward(x, prepare(weight), bias, y)
    want = conv64(x, weight, bias)
    assert (y - want).abs().max() <= 5e-6 * want.abs().max()


def test_several_strips_equal_one(monkeypatch):
    x, weight, bias, dy = case(70, 33, 32, 32)
    u = winograd.transform_weights(weight)
    results = []
    for size in (1 << 30, 1):
        monkeypatch.setattr(winograd, "_STRIP_BYTES", size)
        y, dx, dw = torch.empty_like(dy), torch.empty_like(x), torch.zeros_like(weight)
        winograd.forward(x, u, bias, y, relu=True)
        winograd.backward(x, u, lambda r, end: dy[r:end], dx, dw)
        results.append((y, dx, dw))
    for a, b in zip(*results):
        assert (a - b).abs().max() <= 5e-6 * b.abs().max()


@both
def test_window_leaves_the_rest_alone(prepare):
    x, weight, bias, _ = case(31, 29, 32, 32)
    y = torch.full((31, 29, 32), 7.0)
    winograd.forward(x, prepare(weight), bias, y, True, (4, 21, 6, 25))
    want = conv64(x, weight, bias).clamp(min=0)
    inside = torch.zeros(31, 29, dtype=torch.bool)
    inside[4:21, 6:25] = True
    assert (y[~inside] == 7).all()
    assert (y[inside] - want[inside]).abs().max() <= 5e-6 * want.abs().max()


@both
def test_rows_above_may_be_left_out(prepare):
    x, weight, bias, _ = case(31, 29, 32, 32)
    rows = torch.empty(13, 29, 32)
    winograd.forward(x, prepare(weight), bias, rows, False, (8, 21, 0, 29), above=8)
    want = conv64(x, weight, bias)
    assert (rows - want[8:21]).abs().max() <= 5e-6 * want.abs().max()


def test_weights_are_packed_where_the_native_kernels_run():
    prepared = winograd.prepare(torch.randn(4, 3, 3, 3))
    assert isinstance(prepared, NativeWinograd) == native.available()


@pytest.mark.parametrize("size", SIZES)
def test_gradients(size):
    x, weight, _, dy = case(*size)
    dx, dw = torch.empty_like(x), torch.ones_like(weight)
    winograd.backward(x, winograd.transform_weights(weight), lambda r, end: dy[r:end], dx, dw)
    x64 = x.double().requires_grad_()
    w64 = weight.double().requires_grad_()
    conv64(x64, w64).backward(dy.double())
    assert (dx - x64.grad).abs().max() <= 1e-5 * x64.grad.abs().max()
    assert (dw - 1 - w64.grad).abs().max() <= 1e-5 * w64.grad.abs().max()  # added to the ones
