"""Native convolutions with weights that are others each time, against PyTorch's in float64."""

import random

import pytest
import torch

from caffe import native
from caffe.errors import Error
from caffe.native import learning, weight_gradient

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "-")

LAST = torch.channels_last


def close(got, want, tolerance=2e-6):
    assert got.shape == want.shape
    return (got - want).abs().max() <= tolerance * want.abs().max()


def test_random_shapes(monkeypatch):
    random.seed(5)
    torch.manual_seed(5)
    for number in range(40):
        monkeypatch.setattr(torch, "get_num_threads", lambda k=number % 3 + 1: k)
        group = random.choice((1, 1, 2))
        kernel, stride, dilation = (
            [random.randint(1, most) for _ in range(2)] for most in (5, 2, 3)
        )
        pad = [random.randint(0, d * (k - 1)) for d, k in zip(dilation, kernel)]
        sizes = [d * (k - 1) + 1 + random.randint(0, 12) for d, k in zip(dilation, kernel)]
        n, c, o = random.randint(1, 3), group * random.randint(1, 40), group * random.randint(1, 40)
        x = torch.randn(n, c, *sizes).contiguous(memory_format=LAST)
        for _ in range(2):  # other weights
            weight, bias = torch.randn(o, c // group, *kernel), torch.randn(o)
            x64 = x.double().requires_grad_()
            want = torch.conv2d(x64, weight.double(), bias.double(), stride, pad, dilation, group)
            y = torch.empty(want.shape).contiguous(memory_format=LAST)
            learning.convolve(
                x, weight, bias, y, stride, pad, dilation, group, relu=bool(number % 2)
            )
            assert close(y, want.relu() if number % 2 else want)
            if stride == [1, 1]:
                dy = torch.randn(want.shape).contiguous(memory_format=LAST)
                want.backward(dy.double())
                dx = torch.empty(x.shape).contiguous(memory_format=LAST)
                learning.gradient_of_input(dy, weight, dx, pad, dilation, group)
                assert close(dx, x64.grad)


@pytest.mark.skipif(native.kind() not in learning.WINOGRAD_KINDS, reason="of another kind")
def test_random_shapes_by_winograd(monkeypatch):
    random.seed(6)
    torch.manual_seed(6)
    for number in range(30):
        monkeypatch.setattr(torch, "get_num_threads", lambda k=number % 3 + 1: k)
        n, c, o = random.randint(1, 4), random.randint(1, 70), random.randint(1, 70)
        pad, sizes = [[random.randint(*least) for _ in "hw"] for least in ((0, 2), (3, 15))]
        x = torch.randn(n, c, *sizes).contiguous(memory_format=LAST)
        for relu in (False, True):  # other weights
            weight, bias = torch.randn(o, c, 3, 3), torch.randn(o)
            x64 = x.double().requires_grad_()
            want = torch.conv2d(x64, weight.double(), bias.double(), 1, pad)
            y = torch.empty(want.shape).contiguous(memory_format=LAST)
            learning.convolve(x, weight, bias, y, [1, 1], pad, [1, 1], 1, relu=relu, winograd=True)
            assert close(y, want.relu() if relu else want, 3e-6)
            dy = torch.randn(want.shape).contiguous(memory_format=LAST)
            want.backward(dy.double())
            dx = torch.empty(x.shape).contiguous(memory_format=LAST)
            learning.gradient_of_input(dy, weight, dx, pad, [1, 1], 1, winograd=True)
            assert close(dx, x64.grad, 3e-6)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "group", "told"),
    [
        (5, 1, 1, 1, r"got \(5, 5\), \(1, 1\), \(1, 1\) and 1"),
        (3, 2, 1, 1, r"got \(3, 3\), \(2, 2\), \(1, 1\) and 1"),
        (3, 1, 2, 1, r"got \(3, 3\), \(1, 1\), \(2, 2\) and 1"),
        (3, 1, 1, 2, r"got \(3, 3\), \(1, 1\), \(1, 1\) and 2"),
    ],
)
def test_winograds_way_refuses_other_windows(kernel, stride, dilation, group, told):
    x = torch.ones(1, 32, 9, 9).contiguous(memory_format=LAST)
    weight = torch.ones(32, 32 // group, kernel, kernel)
    y = torch.conv2d(x, weight, None, stride, 1, dilation, group).contiguous(memory_format=LAST)
    pairs = [(n, n) for n in (stride, 1, dilation)]
    with pytest.raises(Error, match=told):
        learning.convolve(x, weight, None, y, *pairs, group, winograd=True)
    with pytest.raises(Error, match=told):
        weight_gradient.of_weights(x, y, weight.shape, *pairs, group, way="winograd")


def test_winograds_way_is_refused_where_the_kernels_have_none(monkeypatch):
    monkeypatch.setattr(learning, "WINOGRAD_KINDS", ("others",))
    x = torch.ones(1, 32, 9, 9).contiguous(memory_format=LAST)
    with pytest.raises(Error, match="have no way of Winograd's .* those that have: others"):
        learning.gradient_of_input(x, torch.ones(32, 32, 3, 3), x, (1, 1), (1, 1), 1, winograd=True)


def test_what_it_keeps_is_bounded(monkeypatch):
    monkeypatch.setattr(learning, "_MOST", 2)
    weight = torch.ones(16, 16, 1, 1)
    for width in range(1, 6):
        x = torch.ones(1, 16, 2, width).contiguous(memory_format=LAST)
        y = torch.empty(x.shape).contiguous(memory_format=LAST)
        learning.convolve(x, weight, None, y, [1, 1], [0, 0], [1, 1], 1)
        assert (y == 16).all()
    assert len(learning._known.by_geometry) <= 66


def test_other_memory_is_refused():
    x = torch.ones(1, 16, 3, 3)
    with pytest.raises(Error, match=r"channels-last memory; got torch.float32 of \(1, 16, 3, 3\)"):
        learning.convolve(x, torch.ones(16, 16, 1, 1), None, x, [1, 1], [0, 0], [1, 1], 1)


def test_a_kernel_of_one_tap_with_a_stride_and_a_pad_sees_the_pad():
    for pad in ([1, 1], [1, 0], [0, 1]):
        x = torch.randn(2, 64, 56, 56).contiguous(memory_format=LAST)
        weight = torch.randn(64, 64, 1, 1)
        want = torch.conv2d(x.double(), weight.double(), None, [2, 2], pad)
        y = torch.empty(want.shape).contiguous(memory_format=LAST)
        learning.convolve(x, weight, None, y, [2, 2], pad, [1, 1], 1)
        assert close(y, want), pad
