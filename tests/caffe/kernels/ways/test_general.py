"""PyTorch's operator: in which layout, strips and parts it is called."""

import pytest
import torch
from way_cases import LAYOUTS, check, check_pooled

from caffe.kernels.convolution import choose
from caffe.kernels.layout import is_channels_last
from caffe.kernels.ways import Call, Geometry, general
from caffe.kernels.ways.general import General
from caffe.storage import Storage

CASES = [((2, 3, 17, 19), (16, 3, 5, 5), 2, 3), ((2, 4, 9, 9), (6, 4, 3, 3), 1, 1)]
POOLED = [((2, 8, 35, 41), (16, 8, 5, 5), 2), ((1, 8, 34, 40), (16, 8, 3, 3), 0)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES)
def test_equals_the_general_operator(case, layout):
    check("general", *case, layout)


@pytest.mark.parametrize("case", POOLED)
def test_a_gradient_that_comes_from_a_pooling(case, monkeypatch):
    monkeypatch.setattr(general, "_STRIPS_LEAST_OUTPUT", 0)
    check_pooled("general", *case, monkeypatch)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (4, 1), (5, 1), (5, 2), (7, 3)])
def test_a_kernel_for_each_channel_equals_the_general_operator(kernel, stride, layout):
    generator = torch.Generator().manual_seed(2)

    def drawn(*shape):
        return torch.randn(shape, generator=generator)

    x = drawn(2, 24, 13, 10).contiguous(memory_format=layout)
    weight, bias, pad = drawn(24, 1, kernel, kernel), drawn(24), kernel // 2
    x64, w64, b64 = (t.double().requires_grad_() for t in (x, weight, bias))
    want = torch.conv2d(x64, w64, b64, stride, pad, 1, 24)
    geometry = Geometry(
        (kernel, kernel), [stride] * 2, [pad] * 2, [1, 1], 24, x.shape, tuple(want.shape)
    )
    call = Call(geometry, x, weight, bias, Storage(1))
    dy = drawn(*want.shape).contiguous(memory_format=layout)
    want.backward(dy.double())
    grads = choose(geometry, weight).backward(call, dy, [True] * 3)
    for got, leaf in zip(grads, (x64, w64, b64)):
        assert (got - leaf.grad).abs().max() <= 1e-5 * leaf.grad.abs().max()


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_more_weights_than_numbers_are_not_laid_out_anew(layout):
    x = torch.randn(1, 32, 4, 4).contiguous(memory_format=layout)
    weight, dy = (
        torch.randn(64, 32, 3, 3),
        torch.randn(1, 64, 4, 4).contiguous(memory_format=layout),
    )
    g = Geometry((3, 3), [1, 1], [1, 1], [1, 1], 1, x.shape, dy.shape)
    way = choose(g, weight)
    call = Call(g, x, weight, None, Storage(weight.numel()))
    for result in (way.forward(call), *way.backward(call, dy, [True, True, False])[:2]):
        assert result.is_contiguous()


@pytest.mark.parametrize("x_last", [False, True])
@pytest.mark.parametrize("dy_last", [False, True])
def test_gradients_keep_the_blobs_layout(x_last, dy_last):
    """To lay out both anew takes longer than the gradients."""
    x, weight, dy = torch.randn(2, 6, 9, 8), torch.randn(4, 6, 3, 3), torch.randn(2, 4, 5, 4)
    g = Geometry([3, 3], [2, 2], [1, 1], [1, 1], 1, x.shape, dy.shape)
    expected = torch.ops.aten.convolution_backward(
        dy, x, weight, [4], [2, 2], [1, 1], [1, 1], False, [0, 0], 1, [True, True, True]
    )
    x = x.contiguous(memory_format=torch.channels_last) if x_last else x
    dy = dy.contiguous(memory_format=torch.channels_last) if dy_last else dy
    call = Call(g, x, weight, None, Storage(weight.numel()))
    found = General().backward(call, dy, [True] * 3)
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert is_channels_last(found[0]) == (x_last or dy_last)


def test_strips_are_written_into_memory_that_is_given(monkeypatch):
    monkeypatch.setattr(general, "_STRIPS_LEAST_OUTPUT", 0)
    x, weight = torch.randn(2, 3, 40, 30), torch.randn(16, 3, 3, 3)
    want = torch.conv2d(x, weight, None, 1, 20)
    g = Geometry([3, 3], [1, 1], [20, 20], [1, 1], 1, x.shape, tuple(want.shape))
    out = torch.empty(want.shape, memory_format=torch.channels_last)
    call = Call(g, x, weight, None, Storage(1))
    assert General().forward(call, out=out) is out
    assert (out - want).abs().max() <= 1e-5 * want.abs().max()


def test_a_bias_gradient_apart_is_the_same(monkeypatch):
    g = torch.Generator().manual_seed(5)
    x, weight = torch.randn(2, 3, 9, 8, generator=g), torch.randn(16, 3, 3, 3, generator=g)
    geometry = Geometry([3, 3], [1, 1], [1, 1], [1, 1], 1, x.shape, (2, 16, 9, 8))
    dy = torch.randn(geometry.top, generator=g)
    call = Call(geometry, x, weight, None, Storage(1))
    together = General().backward(call, dy, [True] * 3)
    monkeypatch.setattr(general, "_APART_LEAST_OUTPUT", 0)
    for mask in ([True] * 3, [False, True, True], [False, True, False], [False, False, True]):
        for a, b, wanted in zip(General().backward(call, dy, mask), together, mask):
            if wanted:
                torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_the_bias_gradient_alone_is_a_sum():
    """The operator's is six times as slow there, and loses digits."""
    torch.manual_seed(3)
    dy = torch.randn(1, 32, 250, 250).contiguous(memory_format=torch.channels_last)
    settings = [3, 3], [1, 1], [1, 1], [1, 1], 32, dy.shape, dy.shape
    call = Call(Geometry(*settings), dy, torch.ones(32, 1, 3, 3), None, Storage(1))
    dx, dw, db = General().backward(call, dy, [False, False, True])
    assert dx is None and dw is None
    assert (db - dy.double().sum((0, 2, 3))).abs().max() < 5e-4
