"""Convolution: what it computes, and its sizes."""

import itertools

import numpy as np
import pytest
from conv_rig import conv
from harness import check_gradient, close, random


def direct(x, weight, bias, stride, pad, dilation, group):
    """Convolution of N x C x H x W as its definition has it."""
    x = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)]).astype(np.float64)
    outputs, channels, kh, kw = weight.shape
    reach = [dilation * (k - 1) + 1 for k in (kh, kw)]
    height, width = ((n - r) // stride + 1 for n, r in zip(x.shape[2:], reach))
    y = np.zeros((x.shape[0], outputs, height, width))
    for o, i, j in itertools.product(range(outputs), range(height), range(width)):
        first = o // (outputs // group) * channels
        rows = slice(i * stride, i * stride + reach[0], dilation)
        columns = slice(j * stride, j * stride + reach[1], dilation)
        window = x[:, first : first + channels, rows, columns]
        y[:, o, i, j] = (window * weight[o]).sum((1, 2, 3)) + bias[o]
    return y


@pytest.mark.parametrize("stride, pad, dilation, group", [(1, 0, 1, 1), (2, 1, 1, 2), (1, 2, 2, 4)])
def test_forward_is_the_definition(device, stride, pad, dilation, group):
    rig = conv(
        f"num_output: 8 kernel_h: 3 kernel_w: 2 stride: {stride} pad: {pad} dilation: {dilation} "
        f"group: {group}",
        (2, 4, 7, 6),
    )
    x = random(2, 4, 7, 6)
    weight, bias = (b.data.copy() for b in rig.layer.blobs)
    assert weight.shape == (8, 4 // group, 3, 2)
    close(rig.forward(x), direct(x, weight, bias, stride, pad, dilation, group))


@pytest.mark.parametrize("size, expected", [(3, 1), (4, 1), (6, 2)])
def test_division_rounds_toward_zero(size, expected):
    """kernel 4 over 3 pixels, stride 2: (3 - 4) / 2 is 0 in C, so one output, over a zero."""
    rig = conv("num_output: 1 kernel_size: 4 stride: 2", (1, 1, size, 4))
    x = random(1, 1, size, 4)
    weight, bias = (b.data.copy() for b in rig.layer.blobs)
    y = rig.forward(x)
    assert y.shape == (1, 1, expected, 1)
    kept = weight[0, 0, : min(4, size)]
    assert np.isclose(y[0, 0, 0, 0], (x[0, 0, :4] * kept).sum() + bias[0], atol=1e-5)
    check_gradient(rig, x)


def test_reshape_to_another_size():
    rig = conv("num_output: 5 kernel_size: 3 stride: 2", (1, 2, 9, 9))
    assert rig.reshape((3, 2, 6, 12)) == [(3, 5, 2, 5)]
