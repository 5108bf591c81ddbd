"""A way to compute a convolution against PyTorch's operator in float64."""

import torch

from caffe.kernels import convolution, pooling, ways
from caffe.kernels.ways import Call, Geometry
from caffe.storage import Storage

LAYOUTS = {"nchw": torch.contiguous_format, "nhwc": torch.channels_last}


def check(way, bottom, shape, stride, pad, layout):
    """Of x (N, C, H, W) and weights (O, C, kh, kw): the way is chosen, and its result and gradients
    are the operator's."""
    layout = LAYOUTS[layout]
    g = torch.Generator().manual_seed(1)
    x = torch.randn(bottom, generator=g).contiguous(memory_format=layout)
    weight = torch.randn(shape, generator=g)
    bias = torch.randn(shape[0], generator=g)
    x64, w64, b64 = (t.double().requires_grad_() for t in (x, weight, bias))
    want = torch.conv2d(x64, w64, b64, stride, pad)
    geometry = Geometry(shape[2:], [stride] * 2, [pad] * 2, [1, 1], 1, bottom, tuple(want.shape))
    chosen = convolution.choose(geometry, weight)
    assert chosen.name == way
    call = Call(geometry, x, weight, bias, Storage(1))
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


def check_pooled(way, bottom, shape, pad, monkeypatch):
    """A gradient that comes from a pooling, in strips: what the whole gradient gives."""
    monkeypatch.setattr(pooling, "_LEAST_NUMBERS", 0)
    monkeypatch.setattr(ways, "_STRIP_NUMBERS", 0)
    monkeypatch.setattr(ways, "STRIP_ROWS", 6)
    g = torch.Generator().manual_seed(3)
    x = torch.randn(bottom, generator=g).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(shape, generator=g), torch.randn(shape[0], generator=g)
    want = torch.conv2d(x, weight, bias, 1, pad).relu()
    geometry = Geometry(shape[2:], [1, 1], [pad] * 2, [1, 1], 1, bottom, tuple(want.shape))
    chosen = convolution.choose(geometry, weight)
    assert chosen.name == way
    storages = Storage(1), Storage(1), Storage(x.numel())
    call = Call(geometry, x, weight, bias, *storages)
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
