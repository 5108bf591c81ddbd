"""Upsampling by channel on the native kernels, against PyTorch in float64."""

import random

import pytest
import torch
import torch.nn.functional as F

from caffe import native
from caffe.native import plane_upsampling

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not()),
]


def close(got, want):
    return got.shape == want.shape and (got - want).abs().max() <= 1e-6 * want.abs().max()


def check(shape, kernel, stride, pad, threads=1):
    x, weight, bias = torch.randn(shape), torch.randn(shape[1], 1, *kernel), torch.randn(shape[1])
    x64 = x.double().requires_grad_()
    want = F.conv_transpose2d(x64, weight.double(), None, stride, pad, groups=shape[1])
    dy = torch.randn(want.shape)
    want.backward(dy.double())
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        y = plane_upsampling.forward(x, weight, bias, stride, pad, want.shape[2:])
        plain = plane_upsampling.forward(x, weight, None, stride, pad, want.shape[2:])
        dx = plane_upsampling.backward(dy, weight, stride, pad, shape[2:])
    finally:
        torch.set_num_threads(before)
    assert close(plain, want.detach()) and close(dx, x64.grad)
    assert close(y, want.detach() + bias.double().view(-1, 1, 1))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kernel, stride", [(4, 2), (16, 8), (64, 32), (2, 2), (6, 3), (15, 5)])
@pytest.mark.parametrize("pad", [0, 1])
def test_upsampling_of_published_nets(kernel, stride, pad, threads):
    check((2, 3, 7, 6), (kernel, kernel), (stride, stride), (pad, pad), threads)


def test_random_geometries():
    draw = random.Random(7)
    for _ in range(50):
        stride = draw.randint(1, 9), draw.randint(2, 21)
        kernel = draw.randint(1, 3 * stride[0]), draw.randint(1, 3) * stride[1]
        pad = tuple(draw.randint(0, (k - 1) // 2) for k in kernel)
        shape = draw.randint(1, 2), draw.randint(1, 5), draw.randint(1, 9), draw.randint(1, 25)
        check(shape, kernel, stride, pad, draw.randint(1, 3))


def test_any_memory_format_is_read():
    x, weight = torch.randn(2, 5, 6, 7), torch.randn(5, 1, 4, 4)
    wanted = plane_upsampling.forward(x, weight, None, (2, 2), (0, 0), (14, 16))
    last = x.contiguous(memory_format=torch.channels_last)
    assert torch.equal(
        plane_upsampling.forward(last, weight, None, (2, 2), (0, 0), (14, 16)), wanted
    )


def test_what_it_is_for():
    x = torch.zeros(1, 2, 3, 3)
    assert plane_upsampling.applies(x, (4, 4), (2, 2), (1, 1))
    assert not plane_upsampling.applies(x, (5, 5), (2, 2), (1, 1))
    assert not plane_upsampling.applies(x, (3, 3), (1, 1), (1, 1))
    assert not plane_upsampling.applies(x, (4, 4), (2, 2), (2, 1))
    assert not plane_upsampling.applies(x.double(), (4, 4), (2, 2), (1, 1))
