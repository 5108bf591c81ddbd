"""Convolution and Deconvolution: sizes, gradients and settings for any number of axes."""

import itertools

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError

FILL = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'


def conv(body: str, *shapes, kind: str = "Convolution", **options) -> Rig:
    text = f'type: "{kind}" convolution_param {{ {FILL} {body} }}'
    return Rig(text, *shapes, tops=len(shapes), **options)


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


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize(
    "body, shape",
    [
        ("num_output: 4 group: 2 kernel_size: 3 stride: 2 pad: 1 dilation: 2", (2, 4, 5, 6)),
        ("num_output: 3", (2, 4)),  # no spatial axis: a matrix product
        ("num_output: 4 group: 2", (3, 4)),
        ("num_output: 3 axis: 2 kernel_size: 2", (2, 3, 4, 5)),  # axes 0 and 1 are batch
        ("num_output: 3 axis: -2 kernel_size: 2 bias_term: false", (2, 3, 4, 5)),
        ("num_output: 2 kernel_size: 2 kernel_size: 1 kernel_size: 3", (2, 2, 3, 2, 3)),
        ("num_output: 2 group: 2 kernel_size: 2 stride: 2 pad: 1", (1, 2, 2, 3, 2, 3)),
    ],
)
def test_gradient(kind, body, shape):
    check_gradient(conv(body, shape, kind=kind), random(*shape))


def test_several_bottoms_share_the_weights():
    shape = (2, 2, 4, 3)
    rig = conv("num_output: 3 kernel_size: 2", shape, shape)
    x = random(*shape)
    rig.forward(x, 2 * x)
    bias = rig.layer.blobs[1].data[:, None, None]
    close(rig.top[1].data - bias, 2 * (rig.top[0].data - bias))
    check_gradient(rig, x, random(*shape, seed=1))


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


def test_deconvolution_is_the_transpose():
    """<conv(x), y> = <x, deconv(y)> with the same weights."""
    body = "num_output: {} kernel_size: 3 stride: 2 pad: 1 dilation: 2 group: 2 bias_term: false"
    forth = conv(body.format(6), (2, 4, 11, 9))
    x = random(2, 4, 11, 9)
    y = random(*forth.forward(x).shape, seed=1)
    back = conv(body.format(4), y.shape, kind="Deconvolution")
    assert back.layer.blobs[0].dims == forth.layer.blobs[0].dims == (6, 2, 3, 3)
    back.layer.blobs[0].data[...] = forth.layer.blobs[0].data
    z = back.forward(y)
    assert z.shape == (2, 4, 11, 9)
    assert np.isclose((forth.top[0].data * y).sum(), (x * z).sum(), rtol=1e-4)


@pytest.mark.parametrize("group", [3, 1])
@pytest.mark.parametrize("bias", ["true", "false"])
def test_upsampling_by_channel_gives_the_general_operators_numbers(monkeypatch, group, bias):
    """Frozen kernels, one a channel: as a group each, or (C, C, kh, kw) with zeros between them."""
    text = f"num_output: 3 group: {group} kernel_size: 4 stride: 2 pad: 1 bias_term: {bias}"
    x, found = random(2, 3, 5, 6), []
    for ways in ("", "plain"):
        monkeypatch.setenv("CAFFE_KERNELS", ways)
        rig = conv(text, x.shape, kind="Deconvolution")
        weight, *rest = rig.layer.blobs
        drawn = random(3, 4, 4, seed=2)
        weight.data[...] = 0
        for c in range(3):
            weight.data[c, 0 if group == 3 else c] = drawn[c]
        for blob in rest:
            blob.data[...] = random(3, seed=3)
        y = rig.forward(x).copy()
        rig.backward(random(*y.shape, seed=4), params=[False] + [True] * len(rest))
        found.append([y, rig.bottom[0].diff.copy(), *(blob.diff.copy() for blob in rest)])
    for a, b in zip(*found):
        close(a, b)


def test_reshape_to_another_size():
    rig = conv("num_output: 5 kernel_size: 3 stride: 2", (1, 2, 9, 9))
    assert rig.reshape((3, 2, 6, 12)) == [(3, 5, 2, 5)]


def test_unneeded_gradients_are_left_alone():
    rig = conv("num_output: 2 kernel_size: 2", (1, 2, 3, 3))
    rig.forward(random(1, 2, 3, 3))
    rig.backward(1.0, bottoms=[False], params=[False, True])
    assert not rig.layer.blobs[0].diff.any() and rig.layer.blobs[1].diff.any()
    assert not rig.bottom[0].diff.any()


def test_parameter_diffs_accumulate(device):
    rig = conv("num_output: 2 kernel_size: 2", (1, 2, 3, 3))
    rig.forward(random(1, 2, 3, 3))
    rig.backward(1.0)
    once = rig.layer.blobs[0].diff.copy()
    rig.backward(1.0)
    close(rig.layer.blobs[0].diff, 2 * once)


@pytest.mark.parametrize(
    "body, message",
    [
        ("num_output: 3 kernel_size: 2 group: 2", r"num_output \(3\) must be a multiple of group"),
        ("num_output: 3 kernel_size: 2 group: 3", r"input channels \(4\) must be a multiple"),
        ("num_output: 2 kernel_size: 2 kernel_h: 2 kernel_w: 2", "not both"),
        ("num_output: 2 kernel_h: 2", "kernel_size must be positive"),
        ("num_output: 2 kernel_size: 2 stride_h: 2", "stride must be positive"),
        ("num_output: 2", "kernel_size must be given"),
        ("num_output: 2 kernel_size: 2 pad: 1 pad: 1 pad: 1", "2 spatial axes"),
        ("kernel_size: 2", "num_output must be positive"),
        ("num_output: 2 kernel_size: 2 axis: 4", "axis 4 out of range"),
    ],
)
def test_bad_settings_are_refused(body, message):
    with pytest.raises(LayerError, match=message):
        conv(body, (1, 4, 5, 5))


@pytest.mark.parametrize(
    "shape, message",
    [
        ((1, 3, 5, 5), "incompatible with the kernel"),
        ((1, 2, 5), "number of axes may not change"),
        ((1, 2, 2, 5), "does not fit"),
    ],
)
def test_bad_bottoms_are_refused(shape, message):
    rig = conv("num_output: 1 kernel_size: 3", (1, 2, 5, 5))
    with pytest.raises(ShapeError, match=message):
        rig.reshape(shape)


def test_bottoms_of_two_shapes_are_refused():
    with pytest.raises(ShapeError, match="same shape"):
        conv("num_output: 1 kernel_size: 3", (1, 2, 5, 5), (1, 2, 5, 6))


def test_a_1x1_kernel_cannot_work_in_place():
    with pytest.raises(LayerError, match="in place"):
        conv("num_output: 2 kernel_size: 1", (1, 2, 3, 3), in_place=True)
