"""Depthwise convolutions against PyTorch in float64."""

import native_maps
import pytest
import torch
import torch.nn.functional as F

from caffe import native

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")


def _check(shape, kernel, stride, pad, dilation, threads=1, **then):
    c = shape[1]
    x, weight = torch.randn(shape), torch.randn(c, 1, *kernel)
    y = F.conv2d(x.double(), weight.double(), None, stride, pad, dilation, c)
    if "act" in then:
        then = native_maps.some_finish(then["act"], y.shape) | then
    given, out = native_maps.Wide(shape, 5, x), native_maps.Wide(y.shape, 3)
    window = native_maps.window(kernel, stride, pad, dilation, c)
    finish = native_maps.finish(**then)
    found = native_maps.run(
        "kernels_depthwise", out, given, out, window, weight, finish, threads=threads
    )
    native_maps.assert_close(found, native_maps.finished(y, **then))


@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 14, 19, 33])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_kernels_of_mobile_nets(width, kernel, stride):
    pad = kernel // 2
    _check((2, 35, 11, width), (kernel, kernel), (stride, stride), (pad, pad), (1, 1))


@pytest.mark.parametrize("pad", [0, 1, 3])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_padding_and_threads(pad, threads):
    _check((2, 48, 12, 21), (3, 3), (1, 1), (pad, pad), (1, 1), threads)


@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "dilation"),
    [
        ((7, 7), (1, 1), (3, 3), (1, 1)),
        ((3, 3), (1, 1), (2, 2), (2, 2)),
        ((3, 3), (2, 1), (4, 1), (3, 1)),
        ((1, 5), (3, 2), (0, 2), (1, 1)),
        ((2, 4), (3, 3), (1, 0), (1, 2)),
    ],
)
def test_any_kernel(kernel, stride, pad, dilation):
    _check((1, 21, 13, 17), kernel, stride, pad, dilation, 2)


@pytest.mark.parametrize("act", range(7))
def test_the_finish(act):
    _check((2, 37, 9, 10), (3, 3), (1, 1), (1, 1), (1, 1), act=act)


@pytest.mark.parametrize("act", range(7))
def test_the_finish_without_a_sum(act):
    _check((2, 37, 9, 10), (3, 3), (1, 1), (1, 1), (1, 1), act=act, other=None)


def test_a_large_map_in_parts():
    _check((1, 96, 40, 112), (3, 3), (2, 2), (1, 1), (1, 1), 2)
