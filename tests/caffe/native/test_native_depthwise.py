"""Depthwise convolutions that learn, by the native kernels, against PyTorch in float64."""

import random

import pytest
import torch
import torch.nn.functional as F

from caffe import native
from caffe.errors import Error
from caffe.native import depthwise

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not()),
]

LAST = torch.channels_last


def drawn(shape, kernel, stride, pad):
    x = torch.randn(shape).contiguous(memory_format=LAST)
    weight, bias = torch.randn(shape[1], 1, *kernel), torch.randn(shape[1])
    exact = [t.double().requires_grad_() for t in (x, weight)]
    y = F.conv2d(*exact, bias.double(), stride, pad, 1, shape[1])
    dy = torch.randn(y.shape).contiguous(memory_format=LAST)
    y.backward(dy.double())
    return x, weight, bias, dy, y.detach(), [t.grad for t in exact]


def guarded(shape):
    """Channels-last memory between numbers that must stay."""
    n, c, h, w = shape
    memory = torch.full((n * c * h * w + 64,), 777.0)
    return memory[32:-32].view(n, h, w, c).permute(0, 3, 1, 2), memory


def close(got, want):
    return got.shape == want.shape and (got - want).abs().max() <= 1e-6 * want.abs().max()


def at(threads, run):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return run()
    finally:
        torch.set_num_threads(before)


def gradients(x, dy, weight, stride, pad, mask=(True, True)):
    dx, memory = guarded(x.shape) if mask[0] else (None, torch.full((64,), 777.0))
    dw = torch.full(weight.shape, 7.0) if mask[1] else None
    depthwise.gradients(x, dy, weight, stride, pad, dx, dw)
    assert torch.all(memory[:32] == 777) and torch.all(memory[-32:] == 777)
    return dx, dw


@pytest.mark.parametrize("pad", [0, 1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(7, 7), (14, 13), (3, 9), (40, 6), (33, 34)])
def test_gradients_equal_pytorchs(size, stride, pad):
    shape = (2, 37, *size)
    x, weight, _, dy, _, want = drawn(shape, (3, 3), stride, pad)
    settings = (stride, stride), (pad, pad)
    got = gradients(x, dy, weight, *settings)
    assert all(map(close, got, want))
    for threads in (2, 3):
        again = at(threads, lambda: gradients(x, dy, weight, *settings))
        assert all(map(torch.equal, again, got))
    for mask in ((True, False), (False, True)):
        part = gradients(x, dy, weight, *settings, mask)
        assert all((a is None) if not m else torch.equal(a, b) for a, b, m in zip(part, got, mask))


def test_random_gradients():
    draw = random.Random(5)
    for _ in range(60):
        stride, pad = draw.choice((1, 2)), (draw.randint(0, 2), draw.randint(0, 2))
        shape = (draw.randint(1, 3), draw.randint(1, 150), draw.randint(3, 37), draw.randint(3, 20))
        x, weight, _, dy, _, want = drawn(shape, (3, 3), stride, pad)
        threads = draw.randint(1, 3)
        got = at(threads, lambda: gradients(x, dy, weight, (stride, stride), pad))  # noqa: B023
        assert all(map(close, got, want)), (shape, stride, pad, threads)


@pytest.mark.parametrize(
    ("kernel", "stride", "pad"),
    [((3, 3), (1, 1), (1, 1)), ((3, 3), (2, 2), (1, 1)), ((5, 5), (2, 2), (2, 2))]
    + [((3, 5), (1, 2), (0, 2)), ((4, 7), (3, 1), (1, 2))],
)
@pytest.mark.parametrize("threads", [1, 3])
def test_the_convolution_equals_pytorchs(kernel, stride, pad, threads):
    x, weight, bias, _, want, _ = drawn((2, 53, 15, 18), kernel, stride, pad)
    y, memory = guarded(want.shape)

    def run(bias, relu=False):
        at(threads, lambda: depthwise.convolve(x, weight, bias, y, stride, pad, (1, 1), relu))
        assert torch.all(memory[:32] == 777) and torch.all(memory[-32:] == 777)
        return y

    assert close(run(bias), want)
    assert close(run(bias, relu=True), want.relu())
    assert close(run(None), want - bias.double().view(-1, 1, 1))


def test_which_gradients_there_are():
    assert depthwise.has_gradients((3, 3), (2, 2), (0, 1), (1, 1))
    assert not depthwise.has_gradients((3, 3), (2, 1), (1, 1), (1, 1))
    assert not depthwise.has_gradients((3, 3), (1, 1), (1, 1), (2, 2))
    assert not depthwise.has_gradients((3, 3), (1, 1), (3, 1), (1, 1))
    assert not depthwise.has_gradients((5, 5), (1, 1), (2, 2), (1, 1))


def test_other_memory_is_refused():
    x, weight = torch.randn(1, 4, 5, 5), torch.randn(4, 1, 3, 3)
    with pytest.raises(Error, match="channels-last"):
        depthwise.convolve(x, weight, None, torch.empty(1, 4, 3, 3), (1, 1), (0, 0), (1, 1))
