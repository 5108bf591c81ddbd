"""Upsampling by two matrix products against PyTorch's transposed convolution."""

import random

import pytest
import torch

from caffe.kernels import upsampling
from caffe.storage import Storage


def bilinear(k):
    center = (k - 1) / 2
    taps = torch.tensor([1 - abs(i - center) / ((k + 1) // 2) for i in range(k)])
    return torch.outer(taps, taps)


@pytest.mark.parametrize(("k", "s", "p"), [(4, 2, 0), (4, 2, 1), (16, 8, 0), (3, 1, 1), (5, 3, 2)])
def test_equals_a_transposed_convolution(k, s, p):
    kernels = bilinear(k).expand(6, 1, k, k)
    x = torch.randn(2, 6, 7, 5, generator=torch.Generator().manual_seed(k)).requires_grad_()
    want = torch.conv_transpose2d(x, kernels, stride=s, padding=p, groups=6)
    filters = upsampling.separate(kernels)
    bands = upsampling.bands(filters, [s, s], [p, p], (7, 5), torch.device("cpu"))
    y = upsampling.forward(x.detach(), bands)
    assert y.shape == want.shape
    assert (y - want).abs().max() <= 1e-6 * want.abs().max()
    dy = torch.randn(want.shape, generator=torch.Generator().manual_seed(1))
    want.backward(dy)
    dx = upsampling.backward(dy, bands)
    assert (dx - x.grad).abs().max() <= 1e-6 * x.grad.abs().max()


def test_rows_and_columns_may_differ():
    kernel = torch.outer(torch.tensor([0.0, 2.0, -1.0]), torch.tensor([1.0, 3.0]))
    filters = upsampling.separate(kernel.expand(4, 1, 3, 2))
    assert torch.allclose(torch.outer(*filters), kernel)


def test_refuses_what_is_no_outer_product():
    kernel = bilinear(4)
    kernel[0, 0] += 0.01
    assert upsampling.separate(kernel.expand(4, 1, 4, 4)) is None
    several = torch.stack([bilinear(4), 2 * bilinear(4)])[:, None]
    assert upsampling.separate(several) is None
    assert upsampling.separate(torch.zeros(3, 1, 4, 4)) is None
    assert upsampling.separate(torch.full((3, 1, 4, 4), float("nan"))) is None


@pytest.mark.parametrize("seed", range(60))
def test_a_region_in_blocks_equals_the_cut_of_a_transposed_convolution(seed):
    numbers = random.Random(seed)
    n, c = numbers.choice([1, 2]), numbers.choice([1, 3])
    image, stride, kernel = ([numbers.randrange(1, most) for _ in range(2)] for most in (12, 6, 10))
    torch.manual_seed(seed)
    filters = upsampling.Filters(*(torch.randn(k) for k in kernel))
    x = torch.randn(n, c, *image)
    weight = torch.outer(*filters).expand(c, 1, *kernel).contiguous()
    whole = torch.conv_transpose2d(x, weight, stride=stride, groups=c)
    first = [numbers.randrange(m) for m in whole.shape[2:]]
    size = [numbers.randrange(1, m - i + 1) for m, i in zip(whole.shape[2:], first)]
    want = whole[:, :, first[0] : first[0] + size[0], first[1] : first[1] + size[1]]
    found = upsampling.region(x, filters, stride, first, size)
    assert found.is_contiguous()
    torch.testing.assert_close(found, want, rtol=1e-5, atol=1e-5)


def test_diagonal_weights_are_seen_and_others_not():
    weight = torch.zeros(3, 3, 4, 4)
    for i in range(3):
        weight[i, i] = torch.rand(4, 4) + 0.1
    own = upsampling.diagonal(weight, Storage(1))
    x = torch.randn(1, 3, 5, 6)
    assert torch.allclose(
        torch.conv_transpose2d(x, own, stride=2, groups=3),
        torch.conv_transpose2d(x, weight, stride=2),
        atol=1e-6,
    )
    weight[0, 1, 2, 2] = 1e-20
    assert upsampling.diagonal(weight, Storage(1)) is None
