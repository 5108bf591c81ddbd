"""Local: convolution with weights of its own at every place."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError


def local(words, *shape):
    fill = "weight_filler { type: 'uniform' min: -1 } bias_filler { type: 'uniform' }"
    return Rig(f'type: "Local" local_param {{ num_output: 3 {words} {fill} }}', shape)


def by_place(x, weights, bias, kernel, stride, pad):
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows = (x.shape[2] - kernel) // stride + 1
    columns = (x.shape[3] - kernel) // stride + 1
    top = np.zeros((len(x), len(weights), rows, columns))
    for r in range(rows):
        for c in range(columns):
            window = x[:, :, r * stride : r * stride + kernel, c * stride : c * stride + kernel]
            own = weights[:, 0, :, r * columns + c]
            top[:, :, r, c] = window.reshape(len(x), -1) @ own.T + bias[:, r * columns + c]
    return top


@pytest.mark.parametrize("kernel, stride, pad", [(2, 1, 0), (3, 2, 1)])
def test_local(device, kernel, stride, pad):
    x = random(2, 2, 5, 4)
    rig = local(f"kernel_size: {kernel} stride: {stride} pad: {pad}", *x.shape)
    weights, bias = (blob.data.copy() for blob in rig.layer.blobs)
    expected = by_place(x, weights, bias[0, 0], kernel, stride, pad)
    close(rig.forward(x), expected)
    if device == "cpu":
        check_gradient(rig, x)


def test_local_without_bias_is_a_convolution_where_all_weights_are_alike():
    x = random(1, 2, 5, 5)
    rig = local("kernel_size: 3 bias_term: false", *x.shape)
    other = Rig('type: "Convolution" convolution_param { num_output: 3 kernel_size: 3 '
                'bias_term: false }', x.shape)  # fmt: skip
    values = random(3, 18, seed=2)
    rig.layer.blobs[0].data[...] = values[:, None, :, None]
    other.layer.blobs[0].data[...] = values.reshape(3, 2, 3, 3)
    assert len(rig.layer.blobs) == 1
    close(rig.forward(x), other.forward(x))


def test_what_is_refused():
    with pytest.raises(LayerError, match="kernel_size must be positive"):
        local("", 1, 2, 5, 5)
    with pytest.raises(ShapeError, match="kernel_size 7 does not fit"):
        local("kernel_size: 7", 1, 2, 5, 5)
    with pytest.raises(ShapeError, match="weights are for pictures"):
        local("kernel_size: 3", 1, 2, 5, 5).reshape((1, 2, 6, 5))
