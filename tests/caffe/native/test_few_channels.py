"""Convolutions of images of few channels on the native kernels, against PyTorch in float64."""

import random

import pytest
import torch
import torch.nn.functional as F

from caffe import native
from caffe.errors import Error
from caffe.native import few_channels

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.available(), reason=native.why_not()),
]

LAST = torch.channels_last


def close(got, want):
    return got.shape == want.shape and (got - want).abs().max() <= 1e-6 * want.abs().max()


def at(threads, run):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return run()
    finally:
        torch.set_num_threads(before)


def check(shape, outputs, kernel, stride, pad, threads=(1,)):
    x, bias = torch.randn(shape), torch.randn(outputs)
    weight = torch.randn(outputs, shape[1], *kernel)
    weight64, bias64 = (t.double().requires_grad_() for t in (weight, bias))
    want = F.conv2d(x.double(), weight64, bias64, stride, pad)
    dy = torch.randn(want.shape).contiguous(memory_format=LAST)
    want.backward(dy.double())
    n, o, h, w = want.shape
    guarded = torch.full((n * h * w * o + 64,), 777.0)
    y = guarded[32:-32].view(n, h, w, o).permute(0, 3, 1, 2)
    found = []
    for count in threads:
        for b, relu in ((bias, False), (bias, True), (None, False)):
            at(count, lambda: few_channels.convolve(x, weight, b, y, stride, pad, relu))  # noqa: B023
            exact = want.detach() - (0 if b is not None else bias.double().view(-1, 1, 1))
            assert close(y, exact.relu() if relu else exact)
        assert (guarded[:32] == 777).all() and (guarded[-32:] == 777).all()
        settings = weight.shape, stride, pad, True
        found.append(at(count, lambda: few_channels.gradients(x, dy, *settings)))  # noqa: B023
    dw, db = found[0]
    assert close(dw, weight64.grad) and close(db, bias64.grad)
    for other in found[1:]:
        assert torch.equal(other[0], dw) and torch.equal(other[1], db)
    alone, none = few_channels.gradients(x, dy, weight.shape, stride, pad, False)
    assert none is None and torch.equal(alone, dw)


@pytest.mark.parametrize(
    ("shape", "outputs", "kernel", "stride", "pad"),
    [
        ((2, 3, 35, 38), 32, 3, 2, 1),  # MobileNet
        ((1, 3, 36, 40), 32, 4, 2, 1),  # camvid-fcn8s
        ((3, 1, 28, 28), 20, 5, 1, 0),  # LeNet
        ((1, 3, 37, 33), 64, 7, 2, 3),  # ResNet, GoogLeNet
        ((1, 3, 67, 71), 96, 11, 4, 0),  # AlexNet
        ((1, 3, 20, 22), 70, 3, 1, 1),  # VGG
    ],
)
def test_first_layers(shape, outputs, kernel, stride, pad):
    check(shape, outputs, *([n, n] for n in (kernel, stride, pad)), threads=(1, 2, 3))


def test_random_shapes():
    draw = random.Random(9)
    for _ in range(30):
        kernel = draw.randint(1, 6), draw.choice(few_channels._WIDTHS)
        stride = draw.randint(1, 3), draw.randint(1, 4)
        pad = draw.randint(0, 3), draw.randint(0, 3)
        width = (draw.randint(11, 30) * stride[1]) + kernel[1]
        shape = draw.randint(1, 3), draw.randint(1, 4), kernel[0] + draw.randint(0, 20), width
        check(shape, draw.randint(16, 70), kernel, stride, pad, (draw.randint(1, 3),))


def test_which_layers_they_are_for():
    assert few_channels.applies((4, 3, 32, 32), (4, 16, 30, 30), (3, 3))
    assert not few_channels.applies((4, 5, 32, 32), (4, 16, 30, 30), (3, 3))
    assert not few_channels.applies((4, 3, 32, 32), (4, 15, 30, 30), (3, 3))
    assert not few_channels.applies((4, 3, 32, 13), (4, 16, 30, 11), (3, 3))
    assert not few_channels.applies((4, 3, 32, 32), (4, 16, 31, 31), (2, 2))


def test_other_memory_is_refused():
    x, weight = torch.randn(1, 3, 14, 14), torch.randn(16, 3, 3, 3)
    with pytest.raises(Error, match="channels-last"):
        few_channels.convolve(x, weight, None, torch.empty(1, 16, 12, 12), (1, 1), (0, 0))
