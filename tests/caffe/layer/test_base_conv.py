"""Convolution and Deconvolution: gradients and settings for any number of axes."""

import pytest
from conv_rig import conv
from harness import check_gradient, close, random

from caffe.errors import LayerError, ShapeError


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
