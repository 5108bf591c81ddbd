"""Training's parts of a convolution on the native kernels against PyTorch's in float64."""

import pytest
import torch

from caffe import native
from caffe.kernels import convolution, native_convolution
from caffe.kernels.convolution import Geometry
from caffe.native import learning
from caffe.storage import Storage

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "-")

LAST = torch.channels_last
CASES = {
    # bottom, weights, stride, pad, dilation, group; whether the gradient of x is computed too
    "3x3": ((2, 64, 24, 26), (96, 64, 3, 3), 1, 1, 1, 1, True),
    "5x5 with a stride": ((2, 64, 28, 28), (64, 64, 5, 5), 2, 2, 1, 1, False),
    "groups": ((2, 64, 26, 26), (128, 32, 5, 5), 1, 2, 1, 2, True),
    "dilated": ((2, 64, 26, 30), (96, 64, 3, 3), 1, 1, 2, 1, True),
    "without a pad": ((4, 32, 26, 30), (64, 32, 5, 4), 1, 0, 1, 1, True),
    "1x1": ((4, 128, 28, 28), (512, 128, 1, 1), 1, 0, 1, 1, True),
    "1x1 with a stride": ((4, 256, 28, 28), (512, 256, 1, 1), 2, 0, 1, 1, False),
}


def drawn(case):
    bottom, shape, stride, pad, dilation, group, _ = case
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(bottom, generator=generator).contiguous(memory_format=LAST)
    weight = torch.randn(shape, generator=generator)
    y = torch.conv2d(x, weight, None, stride, pad, dilation, group)
    dy = torch.randn(y.shape, generator=generator).contiguous(memory_format=LAST)
    settings = [stride] * 2, [pad] * 2, [dilation] * 2, group
    return Geometry(shape[2:], *settings, bottom, tuple(y.shape)), x, weight, dy


def called(g, x, weight, bias=None, learns=True):
    return convolution.Call(g, x, weight, bias, Storage(1), learns=learns)


def close(got, want):
    assert got.shape == want.shape
    return (got - want).abs().max() <= 3e-6 * want.abs().max()


@pytest.fixture
def always(monkeypatch):
    """Whatever the native kernels can compute they do compute."""
    times = native_convolution._TIMES
    free = dict.fromkeys(("ours", "thousand_cycles", "weight", "weight_of_many", "call"), 0)
    fast = times[native.kind()]._replace(**free)
    monkeypatch.setitem(times, native.kind(), fast)
    monkeypatch.setattr(native_convolution, "_by_winograd", lambda g: False)


@pytest.mark.parametrize("name", CASES)
def test_equals_float64(name, always):
    check(CASES[name])


@pytest.mark.skipif(native.kind() not in learning.WINOGRAD_KINDS, reason="the kind has none")
@pytest.mark.parametrize("pad", [0, 1, 2])
def test_winograds_way_equals_float64(pad):
    case = (2, 70, 23, 26), (90, 70, 3, 3), 1, pad, 1, 1, True
    assert native_convolution._by_winograd(drawn(case)[0])
    check(case)


def check(case):
    g, x, weight, dy = drawn(case)
    bias = torch.randn(len(weight))
    x64, w64, b64 = (t.double().requires_grad_() for t in (x, weight, bias))
    want = torch.conv2d(x64, w64, b64, g.stride, g.pad, g.dilation, g.group)
    want.backward(dy.double())
    assert close(native_convolution.forward(called(g, x, weight, bias)), want)
    assert close(native_convolution.forward(called(g, x, weight, bias), relu=True), want.relu())
    memory = torch.full(want.shape, 7.0).contiguous(memory_format=LAST)
    assert native_convolution.forward(called(g, x, weight, bias), out=memory) is memory
    assert close(memory, want)
    dx, dw, db = native_convolution.backward(called(g, x, weight), dy, [True] * 3)
    assert close(dw, w64.grad) and close(db, b64.grad)
    assert case[-1] == (dx is not None)
    assert dx is None or close(dx, x64.grad)
    other = weight * 2  # new weights, the same geometry
    assert close(native_convolution.forward(called(g, x, other)), 2 * (want - b64.view(-1, 1, 1)))
    for mask in ([False, True, False], [False, False, False]):
        part = native_convolution.backward(called(g, x, weight), dy, mask)
        assert [one is not None for one in part] == mask
    assert native_convolution.takes_backward(g, x, [False, True, True])


def test_what_other_ways_compute(monkeypatch, always):
    g, x, weight, dy = drawn(CASES["3x3"])
    none = None, None, None
    call = called(g, x, weight)
    assert native_convolution.forward(call) is not None
    assert native_convolution.forward(call._replace(learns=False)) is None
    assert native_convolution.forward(call._replace(x=x.contiguous())) is None
    planes = call._replace(x=x.contiguous())
    assert native_convolution.backward(planes, dy.contiguous(), [True] * 3) == none
    large = Geometry((7, 7), [1, 1], [0, 0], [1, 1], 1, (1, 512, 22, 22), (1, 4096, 16, 16))
    seen = torch.empty(1, 22, 22, 512).permute(0, 3, 1, 2)
    assert not native_convolution.takes_backward(large, seen, [True] * 3)  # its packed weights stay
    few, image, of_image, diffs = drawn(((2, 3, 20, 20), (64, 3, 7, 7), 2, 3, 1, 1, False))
    assert native_convolution.backward(called(few, image, of_image), diffs, [True] * 3) == none
    assert not native_convolution.takes_backward(few, image, [False, True, False])
    monkeypatch.setenv("CAFFE_KERNELS", "plain")
    assert native_convolution.forward(call) is None
    assert native_convolution.backward(call, dy, [True] * 3) == none


# What is chosen by the kind of the native kernels: forward, for the gradient of x, and, which the
# loaded kernels know of themselves alone, of the weights.  avx2 is as avx512 where it is not named.
CHOSEN = {
    "1x1": ((4, 64, 28, 28), (128, 64, 1, 1), 0, {"amx": "fx", "avx512": "fxw"}),
    "few outputs": ((1, 96, 23, 30), (11, 96, 1, 1), 0, {"amx": "", "avx512": "fw"}),
    "3x3": ((4, 64, 56, 56), (64, 64, 3, 3), 1, {"amx": "fxw", "avx512": "fxw"}),
    "24 channels": ((1, 24, 60, 60), (64, 24, 1, 1), 0, {"amx": "fx", "avx512": "xw"}),
    "few blocks": ((1, 256, 4, 2), (256, 256, 3, 3), 1, {"amx": "", "avx512": "fxw"}),
    "3x3 of a large map": ((1, 32, 120, 120), (256, 32, 3, 3), 1, {"amx": "", "avx512": "fxw"}),
    "dilated": ((4, 64, 56, 56), (64, 64, 3, 3), 0, {"amx": "fxw", "avx512": "fw", "avx2": "w"}),
    "much pad": ((64, 32, 8, 8), (64, 32, 5, 5), 2, {"amx": "fxw", "avx512": "w"}),
}


@pytest.mark.parametrize("kind", native.KINDS)
@pytest.mark.parametrize("name", CHOSEN)
def test_the_fastest_is_chosen(name, kind, monkeypatch):
    bottom, shape, pad, chosen = CHOSEN[name]
    g, x, _, _ = drawn((bottom, shape, 1, pad, 2 if name == "dilated" else 1, 1, True))
    weights_gain = kind == native.kind() and native_convolution._weights_gain(g)
    expected = chosen.get(kind, chosen["avx512"])
    expected = expected if kind == native.kind() else expected.rstrip("w")
    monkeypatch.setattr(native, "kind", lambda: kind)
    positions, by_winograd = g.top[0] * g.top[2] * g.top[3], native_convolution._by_winograd(g)
    gains = {
        "f": by_winograd or native_convolution._product_gains(g, bottom[1], shape[0], positions),
        "x": native_convolution._input_gains(g),
        "w": weights_gain,
    }
    assert by_winograd == (kind != "amx" and "3x3" in name)
    possible = native_convolution._possible(g, x)
    assert "".join(part for part, gain in gains.items() if possible and gain) == expected


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kind", ["few channels", "depthwise"])
def test_first_and_depthwise_layers_equal_float64(kind, stride):
    """In the memory that a net gives them: images are planes, maps are channels last."""
    few = kind == "few channels"
    shape = (32, 3, 3, 3) if few else (40, 1, 3, 3)
    case = (2, 3 if few else 40, 29, 30), shape, stride, 1, 1, 1 if few else 40, False
    g, x, weight, dy = drawn(case)
    x, bias = x.contiguous() if few else x, torch.randn(len(weight))
    x64, w64, b64 = (t.double().requires_grad_() for t in (x, weight, bias))
    want = torch.conv2d(x64, w64, b64, g.stride, g.pad, g.dilation, g.group)
    want.backward(dy.double())
    memory = torch.full(want.shape, 7.0).contiguous(memory_format=LAST)
    assert native_convolution.forward(called(g, x, weight, bias), True, memory) is memory
    assert close(memory, want.relu())
    assert close(native_convolution.forward(called(g, x, weight)), want - b64.view(-1, 1, 1))
    dx, dw, db = native_convolution.backward(called(g, x, weight), dy, [True] * 3)
    assert close(dw, w64.grad)
    assert dx is None if few else close(dx, x64.grad)
    assert close(db, b64.grad) if few else db is None
    assert not native_convolution.takes_backward(g, x, [True] * 3)


@pytest.mark.parametrize("learns", [False, True])
def test_many_weights_are_read_where_they_lie(learns):
    """From any memory format, anew where they have changed."""
    g, x, weight, _ = drawn(((1, 512, 12, 14), (1100, 512, 4, 4), 1, 0, 1, 1, False))
    bias, call = torch.randn(1100), called(g, x, weight, learns=learns)
    assert weight.numel() >= native_convolution._LEAST_KEPT
    want = torch.conv2d(x.double(), weight.double(), bias.double())
    for image in (x, x.contiguous()):
        given = call._replace(x=image, bias=bias)
        for relu in (False, True):
            found = native_convolution.forward(given, relu)
            assert close(found, want.relu() if relu else want)
    call.storage.touch()
    other = call._replace(weight=2 * weight)
    assert close(native_convolution.forward(other), 2 * (want - bias.double().view(-1, 1, 1)))
    few = drawn(((1, 512, 4, 4), (1100, 512, 4, 4), 1, 0, 1, 1, False))[:3]
    assert native_convolution.forward(called(*few, learns=learns)) is None
