"""The native gradient of a convolution's weights against PyTorch's in float64."""

import random

import pytest
import torch

from caffe import native
from caffe.native import learning, weight_gradient

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "-")

winograd = pytest.mark.skipif(
    native.kind() not in learning.WINOGRAD_KINDS, reason="the other kinds have no such way"
)

CASES = {
    # bottom (N, C, H, W), outputs, kernel, stride, pad, dilation, groups
    "3x3": ((2, 20, 13, 11), 35, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "1x1": ((3, 40, 7, 9), 17, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1x1 with a stride": ((2, 33, 9, 8), 48, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    "5x3 with strides and pads": ((2, 16, 17, 15), 32, (5, 3), (3, 2), (2, 1), (1, 1), 1),
    "7x7 of an image": ((1, 3, 37, 41), 24, (7, 7), (2, 2), (3, 3), (1, 1), 1),
    "dilated": ((1, 18, 19, 16), 16, (3, 3), (1, 1), (2, 3), (2, 3), 1),
    "dilated with a stride": ((1, 18, 19, 16), 16, (3, 3), (2, 2), (2, 0), (3, 2), 1),
    "groups": ((2, 36, 9, 10), 40, (3, 3), (1, 1), (1, 1), (1, 1), 2),
    "pads wider than the image": ((2, 5, 3, 2), 7, (3, 3), (1, 1), (4, 5), (1, 1), 1),
    "a stride wider than the kernel": ((2, 5, 13, 12), 7, (2, 2), (4, 3), (0, 1), (1, 1), 1),
    "rows and columns left over": ((1, 5, 14, 13), 7, (3, 3), (4, 4), (0, 0), (1, 1), 1),
    "several chunks": ((3, 96, 61, 50), 80, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "each tap by itself": ((2, 260, 6, 5), 96, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "small maps, large kernel": ((8, 20, 12, 12), 50, (5, 5), (1, 1), (0, 0), (1, 1), 1),
    "many taps": ((1, 17, 12, 9), 18, (6, 5), (2, 1), (1, 2), (1, 1), 1),
    "many channels": ((4, 520, 7, 7), 500, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "many channels, one pixel": ((9, 300, 1, 1), 200, (1, 1), (1, 1), (0, 0), (1, 1), 1),
}


def expected(case, x, dy):
    bottom, outputs, kernel, stride, pad, dilation, groups = case
    weight = torch.zeros(outputs, bottom[1] // groups, *kernel).double().requires_grad_()
    bias = torch.zeros(outputs).double().requires_grad_()
    y = torch.conv2d(x.double(), weight, bias, stride, pad, dilation, groups)
    y.backward(dy.double())
    return weight.grad, bias.grad


def drawn(case):
    bottom, outputs, kernel, stride, pad, dilation, _ = case
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(bottom[2:], kernel, stride, pad, dilation)
    ]
    torch.manual_seed(1)
    last = torch.channels_last
    x = torch.randn(bottom).contiguous(memory_format=last)
    return x, torch.randn(bottom[0], outputs, *sizes).contiguous(memory_format=last)


def found(case, x, dy, bias=True, threads=1, way="direct"):
    bottom, outputs, kernel, *settings, groups = case
    given = (outputs, bottom[1] // groups, *kernel), *settings, groups
    return weight_gradient.of_weights(x, dy, *given, bias=bias, threads=threads, way=way)


def assert_close(got, want):
    for a, b in zip(got, want):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= 1e-6 * b.abs().max()


@pytest.mark.parametrize("name", CASES)
def test_equals_pytorchs(name):
    case = CASES[name]
    x, dy = drawn(case)
    got = found(case, x, dy)
    assert_close(got, expected(case, x, dy))
    for threads in (2, 3):
        for a, b in zip(got, found(case, x, dy, threads=threads)):
            assert torch.equal(a, b)
    assert found(case, x, dy, bias=False)[1] is None


@pytest.mark.parametrize("empty", [(0, 16, 9, 9), (2, 16, 9, 0)])
def test_the_gradient_of_nothing_is_zero(empty):
    x = torch.randn(2, 16, 9, 9)[: empty[0]].contiguous(memory_format=torch.channels_last)
    dy = torch.randn(empty).contiguous(memory_format=torch.channels_last)
    settings = (16, 16, 3, 3), (1, 1), (1, 1), (1, 1), 1
    dw, db = weight_gradient.of_weights(x, dy, *settings, bias=True)
    assert dw.shape == (16, 16, 3, 3) and not dw.any() and not db.any()
    assert weight_gradient.thousand_cycles(empty, empty, (3, 3), (1, 1), (1, 1), (1, 1), 1) == 0


def test_random_shapes():
    random.seed(3)
    for _ in range(40):
        groups = random.choice((1, 1, 1, 2, 3))
        kernel, stride, dilation = (
            tuple(random.randint(1, most) for _ in range(2)) for most in (5, 3, 3)
        )
        pad = random.randint(0, 4), random.randint(0, 4)
        sizes = [d * (k - 1) + 1 + random.randint(0, 12) for d, k in zip(dilation, kernel)]
        bottom = (random.randint(1, 3), groups * random.randint(1, 40), *sizes)
        case = bottom, groups * random.randint(1, 40), kernel, stride, pad, dilation, groups
        x, dy = drawn(case)
        assert_close(found(case, x, dy, threads=random.randint(1, 3)), expected(case, x, dy))


def slices_of_wider_maps(*maps):
    wide = [torch.cat([m, torch.full_like(m, 777.0)], 1) for m in maps]
    return [w.contiguous(memory_format=torch.channels_last)[:, : w.shape[1] // 2] for w in wide]


def test_slices_of_wider_maps():
    case = CASES["3x3"]
    x, dy = drawn(case)
    assert_close(found(case, *slices_of_wider_maps(x, dy)), expected(case, x, dy))


WINOGRAD = {
    # bottom (N, C, H, W), outputs, pad
    "odd sizes": ((2, 20, 13, 11), 35, (1, 1)),
    "other pads": ((2, 17, 9, 10), 30, (0, 2)),
    "less than a block": ((1, 3, 3, 2), 5, (1, 1)),
    "several chunks": ((3, 96, 61, 50), 80, (1, 1)),
    "more outputs": ((1, 96, 23, 30), 160, (1, 1)),
    "several tasks": ((1, 300, 9, 8), 270, (1, 1)),
}


@winograd
@pytest.mark.parametrize("name", WINOGRAD)
def test_winograds_way(name):
    bottom, outputs, pad = WINOGRAD[name]
    case = bottom, outputs, (3, 3), (1, 1), pad, (1, 1), 1
    x, dy = drawn(case)
    got, want = found(case, x, dy, way="winograd"), expected(case, x, dy)
    assert (got[0] - want[0]).abs().max() <= 4e-6 * want[0].abs().max()
    assert_close(got[1:], want[1:])
    for threads in (2, 3):
        for a, b in zip(got, found(case, x, dy, threads=threads, way="winograd")):
            assert torch.equal(a, b)
    assert torch.equal(found(case, *slices_of_wider_maps(x, dy), way="winograd")[0], got[0])
    assert found(case, x, dy, bias=False, way="winograd")[1] is None


@winograd
@pytest.mark.parametrize("way", weight_gradient.WAYS)
def test_the_fastest_way_is_taken(way):
    """By what it tells of its time, and by its bits."""
    large = (2, 64, 40, 40), 64, (3, 3), (1, 1), (1, 1), (1, 1), 1
    small = (1, 256, 4, 4), 256, (3, 3), (1, 1), (1, 1), (1, 1), 1
    for case, fastest in ((large, "winograd"), (small, "direct")):
        maps = drawn(case)
        same = torch.equal(*(found(case, *maps, way=w)[0] for w in ("fastest", way)))
        assert same == (way in ("fastest", fastest))


def test_memory_of_the_caller_is_used():
    case = CASES["1x1"]
    x, dy = drawn(case)
    out = torch.full((17, 40, 1, 1), 5.0)
    got, _ = weight_gradient.of_weights(x, dy, tuple(out.shape), out=out)
    assert got is out
    assert_close([out], expected(case, x, dy)[:1])


def test_the_time_it_tells():
    def told(bottom, top, kernel=(1, 1), pad=(0, 0)):
        return weight_gradient.thousand_cycles(bottom, top, kernel, (1, 1), pad, (1, 1), 1)

    small, large = told((4, 64, 14, 14), (4, 64, 14, 14)), told((4, 512, 14, 14), (4, 512, 14, 14))
    assert 0 < small < large / 20
    # 205 million multiplications, and what else there is: a quarter more by vectors, 16 a cycle;
    # as much again as 6 products each, 512 a cycle, on tiles.
    least, most = (2400, 8000) if native.kind() == "amx" else (12800, 16000)
    assert least < large < most
    assert told((1, 4, 99, 99), (1, 4, 35, 35), (65, 65)) == -1
