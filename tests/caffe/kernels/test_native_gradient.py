"""When the native kernel computes the gradient of a convolution's weights, and that ways use it."""

import pytest
import torch

from caffe import native
from caffe.kernels import convolution, native_gradient
from caffe.kernels.convolution import Geometry
from caffe.storage import Storage

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "-")

LAST = torch.channels_last
CASES = {
    # way: bottom, weights, stride, pad, group
    "general": ((2, 64, 14, 14), (96, 64, 3, 3), 1, 1, 1),
    "general strided": ((2, 64, 28, 28), (64, 64, 5, 5), 2, 2, 1),
    "general in groups": ((2, 64, 26, 26), (128, 32, 5, 5), 1, 2, 2),
    "pointwise": ((2, 128, 28, 28), (512, 128, 1, 1), 1, 0, 1),
    "pointwise strided": ((2, 256, 28, 28), (512, 256, 1, 1), 2, 0, 1),
    "winograd": ((2, 64, 40, 30), (64, 64, 3, 3), 1, 1, 1),
}


def drawn(case):
    bottom, shape, stride, pad, group = case
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(bottom, generator=generator).contiguous(memory_format=LAST)
    weight = torch.randn(shape, generator=generator)
    y = torch.conv2d(x, weight, None, stride, pad, 1, group)
    dy = torch.randn(y.shape, generator=generator).contiguous(memory_format=LAST)
    g = Geometry(shape[2:], [stride] * 2, [pad] * 2, [1, 1], group, bottom, tuple(y.shape))
    return g, x, weight, dy


@pytest.mark.parametrize("name", CASES)
def test_ways_use_it(name, monkeypatch):
    g, x, weight, dy = drawn(CASES[name])
    calls = []

    def compute(*arguments):
        calls.append(arguments[0])
        return given(*arguments)

    given = native_gradient.compute
    monkeypatch.setattr(native_gradient, "compute", compute)
    way = convolution.choose(g, weight)
    assert way.name == name.split()[0]
    call = convolution.Call(g, x, weight, None, Storage(1), learns=True)
    grads = way.backward(call, dy, [True] * 3)
    assert calls == [g]
    x64, w64 = (t.double().requires_grad_() for t in (x, weight))
    torch.conv2d(x64, w64, None, g.stride, g.pad, 1, g.group).backward(dy.double())
    for got, want in zip(grads, (x64.grad, w64.grad, dy.double().sum((0, 2, 3)))):
        assert got.shape == want.shape
        assert (got - want).abs().max() <= 3e-6 * want.abs().max()
    alone = way.backward(call, dy, [False, True, False])
    assert torch.equal(alone[1], grads[1]) and alone[0] is None and alone[2] is None
    assert way.backward(call, dy, [False] * 3) == (None, None, None)


def test_what_it_does_not_take(monkeypatch):
    g, x, _, dy = drawn(CASES["general"])
    assert native_gradient.takes(g, x, dy)
    assert not native_gradient.takes(g, x.contiguous(), dy)
    assert not native_gradient.takes(g, x.double(), dy.double())
    few, image, _, diffs = drawn(((2, 3, 32, 32), (64, 3, 7, 7), 2, 3, 1))  # three channels of 16
    assert not native_gradient.takes(few, image, diffs)
    monkeypatch.setenv("CAFFE_KERNELS", "plain")
    assert not native_gradient.takes(g, x, dy)
