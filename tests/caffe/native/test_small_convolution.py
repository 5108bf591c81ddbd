"""Convolutions of one small image, forward and backward, against PyTorch in float64."""

import pytest
import torch

from caffe import native
from caffe.native import small_convolution

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")

SHAPES = [  # c, h, w, outputs, kernel, stride, pad
    (1, 28, 28, 20, (5, 5), (1, 1), (0, 0)),
    (20, 12, 12, 50, (5, 5), (1, 1), (0, 0)),
    (3, 9, 11, 7, (3, 2), (2, 3), (1, 1)),
    (5, 4, 3, 13, (4, 3), (1, 1), (3, 2)),
    (2, 3, 3, 1, (1, 1), (1, 1), (0, 0)),
    (4, 5, 6, 8, (3, 3), (3, 2), (2, 2)),
    (1, 2, 40, 3, (2, 7), (1, 1), (0, 3)),
]


@pytest.mark.parametrize(("c", "h", "w", "outputs", "kernel", "stride", "pad"), SHAPES)
def test_both_ways(c, h, w, outputs, kernel, stride, pad):
    torch.manual_seed(3)
    x = torch.randn(1, c, h, w).to(memory_format=torch.channels_last)
    weight, bias = torch.randn(outputs, c, *kernel), torch.randn(outputs)
    wide = [t.double().requires_grad_() for t in (x, weight, bias)]
    expected = torch.conv2d(*wide, stride, pad)
    y = small_convolution.convolve(x, weight, bias, expected.shape, stride, pad)
    near = {"rtol": 1e-5, "atol": 2e-5, "check_dtype": False}
    torch.testing.assert_close(y, expected.detach(), **near)
    plain = small_convolution.convolve(x, weight, None, expected.shape, stride, pad)
    torch.testing.assert_close(plain, (expected - wide[2].view(-1, 1, 1)).detach(), **near)
    dy = torch.randn(expected.shape)
    wanted = torch.autograd.grad(expected, wide, dy.double())
    found = [torch.full(t.shape, 7.0) for t in (x, weight, bias)]
    small_convolution.gradients(x, weight, dy, stride, pad, *found)
    for a, b in zip(found, wanted):
        torch.testing.assert_close(a, b, **near)
    for i in range(3):
        one = [torch.full(t.shape, 7.0) if k == i else None for k, t in enumerate(found)]
        small_convolution.gradients(x, weight, dy, stride, pad, *one)
        assert torch.equal(one[i], found[i])


def test_what_it_takes():
    assert small_convolution.applies(torch.zeros(1, 2, 3, 4))
    assert not small_convolution.applies(torch.zeros(2, 2, 3, 4))
    assert not small_convolution.applies(torch.zeros(1, 2, 3, 4).double())
