"""SmoothL1Loss: values against the formula, gradients numerically, in its three forms."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

import caffe
from caffe.errors import LayerError, ShapeError

SHAPE = (3, 4, 2, 2)


def f(x, sigma=1.0):
    s = sigma * sigma
    return np.where(np.abs(x) < 1 / s, 0.5 * s * x * x, np.abs(x) - 0.5 / s)


def slope(x, sigma=1.0):
    return np.where(np.abs(x) < 1 / sigma**2, sigma**2 * x, np.sign(x))


def rig(bottoms, sigma=1.0):
    text = f'type: "SmoothL1Loss" smooth_l1_loss_param {{ sigma: {sigma} }}'
    return Rig(text, *[SHAPE] * bottoms)


def arrays(bottoms):
    return [random(*SHAPE, seed=i) for i in range(bottoms)]


@pytest.mark.parametrize("bottoms", [2, 3, 4])
@pytest.mark.parametrize("sigma", [1.0, 3.0, 0.5])
def test_values(device, bottoms, sigma):
    a, b, *weights = arrays(bottoms)
    inside = weights[0] if weights else 1.0
    outside = weights[1] if len(weights) > 1 else 1.0
    layer = rig(bottoms, sigma)
    x = inside * (a - b)
    close(layer.forward(a, b, *weights), (outside * f(x, sigma)).sum() / SHAPE[0])
    da, db, *others = layer.backward(0.5)
    factor = inside * outside if bottoms == 4 else 1.0  # of three bottoms: as SSD, without
    close(da, 0.5 / SHAPE[0] * slope(x, sigma) * factor)
    close(db, -da)
    assert others == [None] * (bottoms - 2)


@pytest.mark.parametrize("bottoms", [2, 4])
def test_gradient(bottoms):
    check_gradient(rig(bottoms, 2.0), *arrays(bottoms), step=1e-2, bottoms=[0, 1])


def test_gradient_with_weights_of_zero_and_one():
    a, b = arrays(2)
    check_gradient(rig(3), a, b, (random(*SHAPE, seed=7) > 0).astype(np.float32), bottoms=[0, 1])


def test_without_a_forward_pass_the_gradient_is_zero():
    da, db = rig(2).backward(1.0)
    assert not da.any() and not db.any()


def test_what_does_not_fit():
    with pytest.raises(LayerError, match="sigma must be positive"):
        rig(2, 0.0)
    with pytest.raises(ShapeError, match=r"the weights must have the shape .*got \(3, 4\)"):
        Rig('type: "SmoothL1Loss"', SHAPE, SHAPE, (3, 4))


def test_weights_that_a_learned_layer_precedes_get_no_gradient(tmp_path):
    """py-faster-rcnn's weights come from a layer whose bottom is learned; no word says to stop."""
    path = tmp_path / "net.prototxt"
    path.write_text(
        """force_backward: true
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "a" type: "InnerProduct" bottom: "x" top: "a"
          inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
        layer { name: "w" type: "Sigmoid" bottom: "a" top: "w" }
        layer { name: "b" type: "Power" bottom: "a" top: "b" power_param { scale: 0.5 } }
        layer { name: "loss" type: "SmoothL1Loss" bottom: "a" bottom: "b" bottom: "w" bottom: "w"
          top: "loss" }"""
    )
    net = caffe.Net(str(path), caffe.TRAIN)
    net.blobs["x"].data[...] = random(2, 3)
    net.forward()
    net.backward()
    a, w = net.blobs["a"].data.astype(np.float64), net.blobs["w"].data.astype(np.float64)
    one = slope(w * (a - 0.5 * a)) * w * w / 2
    close(net.blobs["a"].diff, one - 0.5 * one)
