"""Every way to compute a convolution against PyTorch's operator in float64."""

import pytest
import torch

from caffe.kernels import convolution, pooling
from caffe.kernels.convolution import Geometry
from caffe.storage import Storage

CASES = {
    # way: bottom (N, C, H, W), weights (O, C, kh, kw), stride, pad
    "winograd": [((2, 128, 33, 41), (136, 128, 3, 3), 1, 1)],
    "columns": [
        ((1, 64, 12, 13), (512, 64, 7, 7), 1, 0),
        ((2, 64, 12, 13), (512, 64, 7, 7), 2, 2),
        ((1, 20, 12, 12), (50, 20, 5, 5), 1, 0),  # one small image
        ((1, 4, 9, 9), (6, 4, 3, 3), 2, 1),
    ],
    "pointwise": [
        ((2, 5, 7, 6), (9, 5, 1, 1), 1, 0),
        ((1, 5, 7, 6), (9, 5, 1, 1), 1, 0),
        ((2, 5, 7, 6), (9, 5, 1, 1), 2, 0),
        ((1, 5, 7, 9), (9, 5, 1, 1), 3, 0),
        ((3, 20, 2, 3), (30, 20, 1, 1), 1, 0),  # more weights than numbers
        ((3, 20, 1, 1), (30, 20, 1, 1), 1, 0),
        ((3, 20, 4, 5), (30, 20, 1, 1), 2, 0),
    ],
    "general": [((2, 3, 17, 19), (16, 3, 5, 5), 2, 3), ((2, 4, 9, 9), (6, 4, 3, 3), 1, 1)],
}
FORMATS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", FORMATS, ids=["nchw", "nhwc"])
@pytest.mark.parametrize(
    ("way", "case"), [(way, case) for way, cases in CASES.items() for case in cases]
)
def test_equals_the_general_operator(way, case, layout):
    bottom, shape, stride, pad = case
    g = torch.Generator().manual_seed(1)
    x = torch.randn(bottom, generator=g).contiguous(memory_format=layout)
    weight = torch.randn(shape, generator=g)
    bias = torch.randn(shape[0], generator=g)
    x64, w64, b64 = (t.double().requires_grad_() for t in (x, weight, bias))
    want = torch.conv2d(x64, w64, b64, stride, pad)
    geometry = Geometry(shape[2:], [stride] * 2, [pad] * 2, [1, 1], 1, bottom, tuple(want.shape))
    chosen = convolution.choose(geometry, weight)
    assert chosen.name == way
    call = convolution.Call(geometry, x, weight, bias, Storage(1))
    y = chosen.forward(call)
    assert y.shape == want.shape
    assert (y - want).abs().max() <= 1e-5 * want.abs().max()
    dy = torch.randn(want.shape, generator=g).contiguous(memory_format=layout)
    want.backward(dy.double())
    grads = chosen.backward(call, dy, [True] * 3)
    for got, leaf in zip(grads, (x64, w64, b64)):
        assert got.shape == leaf.shape
        assert (got - leaf.grad).abs().max() <= 1e-5 * leaf.grad.abs().max()
    for i in range(3):
        mask = [j == i for j in range(3)]
        some = chosen.backward(call, dy, mask)
        assert torch.allclose(some[i], grads[i], rtol=1e-4, atol=1e-4)


def test_no_images_have_no_gradient():
    x, weight, dy = torch.zeros(0, 5, 7, 6), torch.ones(9, 5, 1, 1), torch.zeros(0, 9, 7, 6)
    settings = [1, 1], [1, 1], [0, 0], [1, 1], 1
    geometry = Geometry(*settings, tuple(x.shape), tuple(dy.shape))
    call = convolution.Call(geometry, x, weight, None, Storage(1))
    dx, dw, db = convolution.choose(geometry, weight).backward(call, dy, [True] * 3)
    assert dx.shape == x.shape and dw.shape == weight.shape and not dw.any() and not db.any()


@pytest.mark.parametrize("layout", FORMATS, ids=["nchw", "nhwc"])
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
    call = convolution.Call(geometry, x, weight, bias, Storage(1))
    dy = drawn(*want.shape).contiguous(memory_format=layout)
    want.backward(dy.double())
    grads = convolution.choose(geometry, weight).backward(call, dy, [True] * 3)
    for got, leaf in zip(grads, (x64, w64, b64)):
        assert (got - leaf.grad).abs().max() <= 1e-5 * leaf.grad.abs().max()


def test_plain_kernels_can_be_asked_for(monkeypatch):
    monkeypatch.setenv("CAFFE_KERNELS", "plain")
    bottom, shape, _, _ = CASES["winograd"][0]
    geometry = Geometry((3, 3), [1, 1], [1, 1], [1, 1], 1, bottom, (2, 136, 33, 41))
    assert convolution.choose(geometry, torch.zeros(shape)).name == "general"


@pytest.mark.parametrize("layout", FORMATS, ids=["nchw", "nhwc"])
def test_more_weights_than_numbers_are_not_laid_out_anew(layout):
    x = torch.randn(1, 32, 4, 4).contiguous(memory_format=layout)
    weight, dy = (
        torch.randn(64, 32, 3, 3),
        torch.randn(1, 64, 4, 4).contiguous(memory_format=layout),
    )
    g = Geometry((3, 3), [1, 1], [1, 1], [1, 1], 1, x.shape, dy.shape)
    way = convolution.choose(g, weight)
    call = convolution.Call(g, x, weight, None, Storage(weight.numel()))
    for result in (way.forward(call), *way.backward(call, dy, [True, True, False])[:2]):
        assert result.is_contiguous()


def test_diagonal_weights_are_seen_and_others_not():
    weight = torch.zeros(3, 3, 4, 4)
    for i in range(3):
        weight[i, i] = torch.rand(4, 4) + 0.1
    own = convolution.diagonal(weight, Storage(1))
    x = torch.randn(1, 3, 5, 6)
    assert torch.allclose(
        torch.conv_transpose2d(x, own, stride=2, groups=3),
        torch.conv_transpose2d(x, weight, stride=2),
        atol=1e-6,
    )
    weight[0, 1, 2, 2] = 1e-20
    assert convolution.diagonal(weight, Storage(1)) is None


@pytest.mark.parametrize("x_last", [False, True])
@pytest.mark.parametrize("dy_last", [False, True])
def test_gradients_keep_the_blobs_layout(x_last, dy_last):
    """To lay out both anew takes longer than the gradients."""
    x, weight, dy = torch.randn(2, 6, 9, 8), torch.randn(4, 6, 3, 3), torch.randn(2, 4, 5, 4)
    g = convolution.Geometry([3, 3], [2, 2], [1, 1], [1, 1], 1, x.shape, dy.shape)
    expected = torch.ops.aten.convolution_backward(
        dy, x, weight, [4], [2, 2], [1, 1], [1, 1], False, [0, 0], 1, [True, True, True]
    )
    x = x.contiguous(memory_format=torch.channels_last) if x_last else x
    dy = dy.contiguous(memory_format=torch.channels_last) if dy_last else dy
    call = convolution.Call(g, x, weight, None, Storage(weight.numel()))
    found = convolution.GENERAL.backward(call, dy, [True] * 3)
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert convolution.is_channels_last(found[0]) == (x_last or dy_last)


POOLED = {
    "winograd": [((2, 128, 34, 40), (136, 128, 3, 3), 1), ((1, 128, 35, 41), (136, 128, 3, 3), 1)],
    "general": [((2, 8, 35, 41), (16, 8, 5, 5), 2), ((1, 8, 34, 40), (16, 8, 3, 3), 0)],
}


@pytest.mark.parametrize(
    ("way", "case"), [(way, case) for way, cases in POOLED.items() for case in cases]
)
def test_a_gradient_that_comes_from_a_pooling(way, case, monkeypatch):
    """In strips, from the pooling's own gradient: what the whole gradient gives."""
    monkeypatch.setattr(pooling, "_LEAST_NUMBERS", 0)
    monkeypatch.setattr(convolution, "_STRIPS_LEAST_OUTPUT", 0)
    monkeypatch.setattr(convolution, "_STRIP_NUMBERS", 0)
    monkeypatch.setattr(convolution, "_STRIP_ROWS", 6)
    bottom, shape, pad = case
    g = torch.Generator().manual_seed(3)
    x = torch.randn(bottom, generator=g).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(shape, generator=g), torch.randn(shape[0], generator=g)
    want = torch.conv2d(x, weight, bias, 1, pad).relu()
    geometry = Geometry(shape[2:], [1, 1], [pad] * 2, [1, 1], 1, bottom, tuple(want.shape))
    chosen = convolution.choose(geometry, weight)
    assert chosen.name == way
    storages = Storage(1), Storage(1), Storage(x.numel())
    call = convolution.Call(geometry, x, weight, bias, *storages)
    y = chosen.forward(call, relu=True)
    assert (y - want).abs().max() <= 1e-5 * want.abs().max()
    out = [-(-n // 2) for n in y.shape[2:]]
    maxima, places = pooling.forward(y, [2, 2], out, ceil_mode=True)
    dy = torch.randn(maxima.shape, generator=g).contiguous(memory_format=torch.channels_last)
    pooled = pooling.PooledDiff(dy, places, maxima, [2, 2], True, tuple(y.shape))
    expected = chosen.backward(call, pooled.whole(), [True] * 3)
    for a, b in zip(chosen.backward_pooled(call, pooled, [True] * 3), expected):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()
    assert chosen.backward_pooled(call, pooled, [False] * 3) == (None, None, None)


def test_strips_are_written_into_memory_that_is_given(monkeypatch):
    monkeypatch.setattr(convolution, "_STRIPS_LEAST_OUTPUT", 0)
    x, weight = torch.randn(2, 3, 40, 30), torch.randn(16, 3, 3, 3)
    want = torch.conv2d(x, weight, None, 1, 20)
    g = Geometry([3, 3], [1, 1], [20, 20], [1, 1], 1, x.shape, tuple(want.shape))
    out = torch.empty(want.shape, memory_format=torch.channels_last)
    call = convolution.Call(g, x, weight, None, Storage(1))
    assert convolution.GENERAL.forward(call, out=out) is out
    assert (out - want).abs().max() <= 1e-5 * want.abs().max()


def test_a_bias_gradient_apart_is_the_same(monkeypatch):
    g = torch.Generator().manual_seed(5)
    x, weight = torch.randn(2, 3, 9, 8, generator=g), torch.randn(16, 3, 3, 3, generator=g)
    geometry = Geometry([3, 3], [1, 1], [1, 1], [1, 1], 1, x.shape, (2, 16, 9, 8))
    dy = torch.randn(geometry.top, generator=g)
    call = convolution.Call(geometry, x, weight, None, Storage(1))
    together = convolution.GENERAL.backward(call, dy, [True] * 3)
    monkeypatch.setattr(convolution, "_APART_LEAST_OUTPUT", 0)
    for mask in ([True] * 3, [False, True, True], [False, True, False], [False, False, True]):
        for a, b, wanted in zip(convolution.GENERAL.backward(call, dy, mask), together, mask):
            if wanted:
                torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_the_bias_gradient_alone_is_a_sum():
    """The operator's is six times as slow there, and loses digits."""
    torch.manual_seed(3)
    dy = torch.randn(1, 32, 250, 250).contiguous(memory_format=torch.channels_last)
    settings = [3, 3], [1, 1], [1, 1], [1, 1], 32, dy.shape, dy.shape
    call = convolution.Call(Geometry(*settings), dy, torch.ones(32, 1, 3, 3), None, Storage(1))
    dx, dw, db = convolution.GENERAL.backward(call, dy, [False, False, True])
    assert dx is None and dw is None
    assert (db - dy.double().sum((0, 2, 3))).abs().max() < 5e-4
