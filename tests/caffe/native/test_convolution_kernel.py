"""Convolutions of the native kernels (c/convolution*.c) against PyTorch in float64."""

import ctypes

import pytest
import torch

from caffe import native

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not())

NONE, RELU, LEAKY, CLAMP, PRELU, SIGMOID, TANH = range(7)
GUARD = 12345.0


class Map(ctypes.Structure):
    _fields_ = [
        ("at", ctypes.c_void_p),
        ("n", ctypes.c_int32),
        ("h", ctypes.c_int32),
        ("w", ctypes.c_int32),
        ("c", ctypes.c_int32),
        ("pixel", ctypes.c_int64),
    ]


class Finish(ctypes.Structure):
    _fields_ = [
        ("bias", ctypes.c_void_p),
        ("other", Map),
        ("act", ctypes.c_int32),
        ("low", ctypes.c_float),
        ("high", ctypes.c_float),
        ("slopes", ctypes.c_void_p),
    ]


Window = ctypes.c_int32 * 9


def place(x, before=0, behind=0):
    """n c h w numbers as a map: a slice of a wider tensor, channels last."""
    n, c, h, w = x.shape
    wide = torch.full((n, h, w, before + c + behind), GUARD)
    wide[..., before : before + c] = x.permute(0, 2, 3, 1)
    return wide, Map(wide.data_ptr() + 4 * before, n, h, w, c, before + c + behind)


def act(kind, x, low, high, slopes):
    if kind == LEAKY:
        return torch.where(x < 0, x * low, x)
    if kind == CLAMP:
        return x.clamp(low, high)
    if kind == PRELU:
        return torch.where(x < 0, x * slopes.double().view(1, -1, 1, 1), x)
    return {NONE: lambda v: v, RELU: torch.relu, SIGMOID: torch.sigmoid, TANH: torch.tanh}[kind](x)


def run(program, threads=1):
    kernels = native.library()
    assert kernels.kernels_run(program, threads, None) == 0


@pytest.fixture
def program():
    kernels = native.library()
    kernels.kernels_new.restype = ctypes.c_void_p
    made = ctypes.c_void_p(kernels.kernels_new())
    yield made
    kernels.kernels_free(made)


def check(program, x, weight, window, *, bias=None, kind=NONE, slices=(0, 0), threads=(1,), keep=0,
          other=None, low=0.1, high=6.0):  # fmt: skip
    kernels = native.library()
    stride, pad, dilation, groups = window
    slopes = torch.rand(len(weight))
    expected = torch.nn.functional.conv2d(
        x.double(), weight.double(), None if bias is None else bias.double(),
        stride, pad, dilation, groups,
    )  # fmt: skip
    scale = expected.abs().max()
    if other is not None:
        expected = expected + other.double()
    expected = act(kind, expected, low, high, slopes)
    wide_in, map_in = place(x, *slices)
    wide_out, map_out = place(torch.full(expected.shape, GUARD), *slices)
    finish = Finish(act=kind, low=low, high=high, slopes=slopes.data_ptr())
    if bias is not None:
        finish.bias = bias.data_ptr()
    if other is not None:
        wide_other, finish.other = place(other, 3, 2)
    settings = Window(*weight.shape[2:], *stride, *pad, *dilation, groups)
    failed = kernels.kernels_convolution(
        program, ctypes.byref(map_in), ctypes.byref(map_out), settings,
        ctypes.c_void_p(weight.data_ptr()), keep, ctypes.byref(finish),
    )  # fmt: skip
    assert not failed
    if bias is not None and not keep:
        bias.fill_(GUARD)  # what is given was copied
    for count in threads:
        wide_out[..., slices[0] : slices[0] + len(weight)] = GUARD
        run(program, count)
        found = wide_out[..., slices[0] : slices[0] + len(weight)].permute(0, 3, 1, 2)
        assert (found - expected).abs().max() <= 2e-6 * scale
        assert (wide_out[..., : slices[0]] == GUARD).all()
        assert (wide_out[..., slices[0] + len(weight) :] == GUARD).all()


def pair(v):
    return v if isinstance(v, tuple) else (v, v)


# images, channels, height, width, outputs, kernel, stride, pad, dilation, groups
SHAPES = {
    "pointwise": (1, 64, 14, 14, 64, 1, 1, 0, 1, 1),
    "pointwise, odd": (2, 37, 9, 7, 53, 1, 1, 0, 1, 1),
    "pointwise, few results": (1, 20, 2, 5, 40, 1, 1, 0, 1, 1),
    "pointwise, rows of blocks": (2, 10, 23, 24, 17, 1, 1, 0, 1, 1),
    "pointwise, 1024 channels": (1, 1024, 5, 5, 40, 1, 1, 0, 1, 1),
    "pointwise, two groups": (2, 22, 23, 24, 66, 1, 1, 0, 1, 2),
    "pointwise, stride, wide": (1, 21, 9, 31, 33, 1, 2, 0, 1, 1),
    "pointwise, one result": (1, 130, 1, 1, 70, 1, 1, 0, 1, 1),
    "pointwise, stride": (2, 40, 9, 11, 33, 1, 2, 0, 1, 1),
    "pointwise, padded": (1, 40, 5, 5, 20, 1, 1, 2, 1, 1),
    "pointwise, many bands": (1, 64, 80, 70, 32, 1, 1, 0, 1, 1),
    "3x3": (1, 64, 14, 14, 64, 3, 1, 1, 1, 1),
    "3x3, odd": (3, 35, 7, 9, 49, 3, 1, 1, 1, 1),
    "3x3, bands": (1, 96, 60, 61, 40, 3, 1, 1, 1, 1),
    "3x3, unpadded": (2, 64, 9, 8, 17, 3, 1, 0, 1, 1),
    "3x3, much padding": (1, 64, 6, 5, 16, 3, 1, 4, 1, 1),
    "3x3, stride": (2, 64, 15, 14, 32, 3, 2, 1, 1, 1),
    "3x3, stride by axis": (1, 64, 15, 14, 32, (3, 2), (3, 2), (2, 1), 1, 1),
    "3x3, dilation": (1, 64, 15, 14, 32, 3, 1, 2, 2, 1),
    "3x3, dilation and stride": (1, 64, 19, 18, 32, 3, 2, 3, 3, 1),
    "3x3, deep": (1, 512, 7, 7, 40, 3, 1, 1, 1, 1),
    "5x5": (1, 32, 12, 13, 24, 5, 1, 2, 1, 1),
    "1x7": (1, 160, 17, 17, 96, (1, 7), 1, (0, 3), 1, 1),
    "3x3, blocks of a row": (1, 19, 6, 45, 35, 3, 1, 1, 1, 1),
    "3x3, unpadded, wide": (1, 19, 6, 20, 16, 3, 1, 0, 1, 1),
    "3x3, stride, even": (2, 21, 8, 34, 50, 3, 2, 1, 1, 1),
    "3x3, stride, odd": (2, 21, 9, 27, 18, 3, 2, 1, 1, 1),
    "3x3, stride, unpadded": (1, 40, 9, 17, 18, 3, 2, 0, 1, 1),
    "3x3, three groups": (1, 30, 10, 10, 75, 3, 1, 1, 1, 3),
    "5x5, blocks of a row": (2, 20, 9, 36, 49, 5, 1, 2, 1, 1),
    "5x5, a block a row": (2, 20, 9, 7, 49, 5, 1, 2, 1, 1),
    "5x5, unpadded": (2, 10, 7, 14, 32, 5, 1, 0, 1, 1),
    "1x3": (1, 17, 5, 13, 20, (1, 3), 1, (0, 1), 1, 1),
    "7x3, rows beyond the map": (1, 17, 4, 13, 20, (7, 3), (2, 1), (3, 1), 1, 1),
    "3x5, rows of padding": (1, 17, 4, 13, 20, (3, 5), 1, (5, 2), 1, 1),
    "11x11 of three channels": (1, 3, 67, 59, 96, 11, 4, 0, 1, 1),
    "7x7 of three channels": (1, 3, 40, 44, 64, 7, 2, 3, 1, 1),
    "5x5 of one channel": (3, 1, 28, 28, 20, 5, 1, 0, 1, 1),
    "two channels, a narrow map": (2, 2, 9, 36, 37, (3, 5), (3, 4), (2, 1), 1, 1),
    "four channels, one vector": (3, 4, 11, 15, 13, 3, 1, 1, 1, 1),
    "three channels, rows of padding": (1, 3, 4, 21, 40, 3, 2, 5, 1, 1),
    "three channels, stride and dilation": (2, 3, 23, 25, 33, 3, 2, 3, (2, 3), 1),
    "5x5 of twenty channels": (5, 20, 12, 12, 50, 5, 1, 0, 1, 1),
    "as large as the map": (3, 40, 5, 6, 70, (5, 6), 1, 0, 1, 1),
    "few channels, dilation": (2, 3, 20, 18, 16, 3, 1, 2, 2, 1),
    "two groups": (1, 96, 13, 13, 128, 5, 1, 2, 1, 2),
    "many groups": (2, 64, 9, 9, 64, 3, 1, 1, 1, 16),
    "groups of four": (1, 128, 14, 14, 128, 3, 1, 1, 1, 32),
    "groups of four, wide, stride": (2, 32, 9, 33, 32, 3, 2, 1, 1, 8),
    "groups of eight": (1, 48, 8, 15, 48, (3, 5), 1, (2, 1), 1, 6),
    "groups of eight, dilation": (2, 32, 12, 13, 32, 3, (2, 1), 3, (1, 3), 4),
    "groups of ten, more outputs": (1, 60, 9, 8, 84, 3, 1, 1, 1, 6),
    "groups of pointwise": (2, 66, 9, 9, 33, 1, 1, 0, 1, 3),
    "by channel": (1, 24, 9, 9, 24, 3, 2, 1, 1, 24),
    "the kernel beyond the map": (1, 64, 2, 3, 32, 5, 1, 2, 1, 1),
    "one output": (1, 64, 14, 14, 1, 3, 1, 1, 1, 1),
}


def random_case(shape):
    n, c, h, w, outputs, kernel, stride, pad, dilation, groups = shape
    torch.manual_seed(0)
    x = torch.randn(n, c, h, w)
    weight = torch.randn(outputs, c // groups, *pair(kernel))
    return x, weight, (pair(stride), pair(pad), pair(dilation), groups)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_shapes_on_threads(program, shape):
    x, weight, window = random_case(shape)
    check(program, x, weight, window, bias=torch.randn(len(weight)), threads=(1, 2, 3))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_slices_of_wider_maps_stay_as_they_are(program, shape):
    x, weight, window = random_case(shape)
    check(program, x, weight, window, slices=(5, 7), kind=RELU)


@pytest.mark.parametrize("kind", [NONE, RELU, LEAKY, CLAMP, PRELU, SIGMOID, TANH])
@pytest.mark.parametrize(
    "shape", ["pointwise, odd", "pointwise, rows of blocks", "3x3, odd", "5x5", "many groups"]
)
def test_bias_sum_and_activation(program, kind, shape):
    x, weight, window = random_case(SHAPES[shape])
    outputs = torch.nn.functional.conv2d(x, weight, None, *window).shape
    check(program, x, weight / 20, window, bias=torch.randn(len(weight)), kind=kind,
          other=torch.randn(outputs), low=-0.5 if kind == CLAMP else 0.2, high=0.7)  # fmt: skip


@pytest.mark.parametrize("kind", [NONE, RELU, LEAKY, CLAMP, PRELU, SIGMOID, TANH])
@pytest.mark.parametrize(
    "shape", ["four channels, one vector", "few channels, dilation", "3x3, odd", "5x5"]
)
def test_activation_without_a_sum(program, kind, shape):
    x, weight, window = random_case(SHAPES[shape])
    check(program, x, weight / 20, window, bias=torch.randn(len(weight)), kind=kind,
          low=-0.5 if kind == CLAMP else 0.2, high=0.7)  # fmt: skip


@pytest.mark.parametrize(
    "shape",
    [
        (1, 128, 9, 8, 1300, 7, 1, 3, 1, 1),
        (2, 200, 6, 6, 1200, 6, 1, 0, 1, 1),
        (3, 70, 13, 12, 2500, 7, 2, 2, 1, 1),
        (1, 103, 11, 12, 9001, 3, 1, 2, 2, 1),
        (1, 2050, 3, 2, 4100, 1, 1, 0, 1, 1),
        (1, 512, 4, 4, 4096, 3, 1, 1, 1, 2),
    ],
    ids=["padded", "as large as the map", "strided", "dilated", "pointwise", "in groups"],
)
def test_large_weights_are_read_in_each_run(program, shape):
    x, weight, window = random_case(shape)
    how = {"keep": 1, "threads": (1, 2, 3), "slices": (3, 5), "kind": LEAKY}
    check(program, x, weight, window, bias=torch.randn(len(weight)), **how)


def test_shapes_that_do_not_fit_are_declined(program):
    x, weight, _ = random_case(SHAPES["3x3"])
    _wide_in, map_in = place(x)
    _wide_out, map_out = place(torch.zeros(1, 64, 13, 14))
    failed = native.library().kernels_convolution(
        program, ctypes.byref(map_in), ctypes.byref(map_out), Window(3, 3, 1, 1, 1, 1, 1, 1, 1),
        ctypes.c_void_p(weight.data_ptr()), 0, None,
    )  # fmt: skip
    assert failed == -1


@pytest.mark.parametrize("shape", ["pointwise, odd", "3x3, odd", "7x7 of three channels"])
def test_a_convolution_by_itself_takes_other_inputs_and_weights(shape):
    kernels = native.library()
    kernels.kernels_prepare_convolution.restype = ctypes.c_void_p
    x, weight, window = random_case(SHAPES[shape])
    stride, pad, dilation, groups = window
    bias = torch.randn(len(weight))
    like = torch.nn.functional.conv2d(x, weight, None, *window)
    settings = Window(*weight.shape[2:], *stride, *pad, *dilation, groups)
    finish = Finish(act=RELU, bias=bias.data_ptr())
    nowhere = Map(None, *[x.shape[i] for i in (0, 2, 3, 1, 1)])
    to = Map(None, *[like.shape[i] for i in (0, 2, 3, 1, 1)])
    made = kernels.kernels_prepare_convolution(
        ctypes.byref(nowhere), ctypes.byref(to), settings,
        ctypes.c_void_p(weight.data_ptr()), 0, ctypes.byref(finish),
    )  # fmt: skip
    assert made
    made = ctypes.c_void_p(made)
    for sum_too in (False, True):
        x = torch.randn_like(x).contiguous(memory_format=torch.channels_last)
        other = torch.randn_like(like).contiguous(memory_format=torch.channels_last)
        found = torch.full_like(like, GUARD).contiguous(memory_format=torch.channels_last)
        weight, bias = torch.randn_like(weight), torch.randn_like(bias)
        given = (ctypes.c_void_p(t.data_ptr()) for t in (weight, bias))
        assert kernels.kernels_repack(made, *given) == 0
        given = (ctypes.c_void_p(t.data_ptr()) for t in (x, found, other)[: 2 + sum_too])
        assert kernels.kernels_convolve(made, 2, *given, *[None] * (not sum_too)) == 0
        double = (t.double() for t in (x, weight, bias))
        expected = torch.nn.functional.conv2d(*double, *window)
        scale = expected.abs().max()
        expected = torch.relu(expected + other.double() * sum_too)
        assert (found - expected).abs().max() <= 2e-6 * scale
    kernels.kernels_release(made)
