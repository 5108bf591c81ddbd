"""Maxima with places of two bytes, and gradients row by row, against PyTorch's pooling."""

import itertools

import pytest
import torch

from caffe.kernels import pooling

aten = torch.ops.aten
LAST = torch.channels_last
CASES = list(itertools.product(((1, 5, 24, 18), (2, 3, 23, 17)), (2, 3)))


@pytest.fixture(autouse=True)
def small_maps_and_strips(monkeypatch):
    monkeypatch.setattr(pooling, "_LEAST_NUMBERS", 0)
    monkeypatch.setattr(pooling, "_STRIP_BYTES", 2000)


def pooled(shape, k):
    """(the map after a ReLU, maxima, places, their gradient, PyTorch's indices)"""
    generator = torch.Generator().manual_seed(k)
    x = torch.randn(shape, generator=generator).relu_().contiguous(memory_format=LAST)
    want, index = aten.max_pool2d_with_indices(x, [k, k], [k, k], [0, 0], [1, 1], True)
    assert pooling.applies(x, [k, k], [k, k], want.shape[2:])
    y, places = pooling.forward(x, [k, k], want.shape[2:], ceil_mode=True)
    assert torch.equal(y, want)
    assert places.dtype is torch.int16
    dy = torch.randn(y.shape, generator=generator).contiguous(memory_format=LAST)
    return x, y, places, dy, index


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(("shape", "k"), CASES)
def test_the_gradient_is_pytorchs(shape, k, relu):
    x, y, places, dy, index = pooled(shape, k)
    want = aten.max_pool2d_with_indices_backward(dy, x, [k, k], [k, k], [0, 0], [1, 1], True, index)
    if relu:
        want = aten.threshold_backward(want, x, 0.0)
    d = pooling.PooledDiff(dy, places, y if relu else None, [k, k], True, shape)
    assert torch.equal(d.whole(), want)
    torch.testing.assert_close(d.sums(), want.sum((0, 2, 3)), rtol=1e-5, atol=1e-5)
    rows = want[-1].permute(1, 2, 0)
    for first, end in ((0, 1), (3, 8), (shape[2] - 1, shape[2]), (0, shape[2])):
        found = d.rows(shape[0] - 1, first, end)
        assert found.is_contiguous()
        assert torch.equal(found, rows[first:end])


def test_what_two_bytes_cannot_hold_is_left_to_pytorch():
    x = torch.zeros(1, 4, 8, 8).contiguous(memory_format=LAST)
    assert pooling.applies(x, [2, 2], [2, 2], [4, 4])
    assert not pooling.applies(x, [3, 3], [2, 2], [4, 4])  # windows overlap
    assert not pooling.applies(x, [2, 2], [2, 2], [3, 4])  # a row is in no window
    assert not pooling.applies(x.contiguous(), [2, 2], [2, 2], [4, 4])
    assert not pooling.applies(x.double(), [2, 2], [2, 2], [4, 4])
    wide = torch.zeros(1, 2, 2, 20_000).contiguous(memory_format=LAST)
    assert not pooling.applies(wide, [2, 2], [2, 2], [1, 10_000])
    assert pooling.applies(
        wide[..., :16_000].contiguous(memory_format=LAST), [2, 2], [2, 2], [1, 8000]
    )
