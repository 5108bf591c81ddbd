"""BN: against NumPy and numeric gradients, in place, and the multipliers of its blobs."""

import numpy as np
import pytest
from harness import TEST, TRAIN, Rig, close, random

import caffe
from caffe.errors import ShapeError

SHAPE = (3, 4, 5, 2)


def bn(body, phase=TRAIN, in_place=False, shape=SHAPE):
    rig = Rig(f'type: "BN" bn_param {{ {body} }}', shape, phase=phase, in_place=in_place)
    for i, blob in enumerate(rig.layer.blobs):
        blob.data[...] = random(*blob.dims, seed=20 + i, low=0.5, high=2)
    return rig


def normal(x, eps):
    mean = x.mean((0, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(x.var((0, 2, 3), keepdims=True) + eps)


@pytest.mark.parametrize("phase", [TRAIN, TEST])
@pytest.mark.parametrize(
    "body", ["", "frozen: true", "statistics: BATCH", "statistics: NONE", "eps: 0.5 momentum: 0.25"]
)
def test_bn(device, body, phase):
    rig = bn(body, phase)
    assert [b.dims for b in rig.layer.blobs] == [(1, 4, 1, 1)] * (2 if "stat" in body else 4)
    slope, bias, *moving = (b.data.astype(np.float64) for b in rig.layer.blobs)
    eps = rig.layer.eps
    assert np.isclose(eps, 0.5 if "eps" in body else 1e-5)
    x = random(*SHAPE, seed=3)
    batch = "BATCH" in body or ("stat" not in body and "frozen" not in body and phase == TRAIN)
    if batch:
        expected = slope * normal(x.astype(np.float64), eps) + bias
    elif moving:
        expected = slope * (x - moving[0]) / np.sqrt(moving[1] + eps) + bias
    else:
        expected = slope * x + bias
    close(rig.forward(x), expected)
    if moving:
        old = 0.25 if "momentum" in body else 0.9
        share = 1 - old if batch else 0
        axes = (0, 2, 3)
        wanted = [
            (1 - share) * m + share * s
            for m, s in zip(moving, (x.mean(axes, keepdims=True), x.var(axes, keepdims=True)))
        ]
        for blob, value in zip(rig.layer.blobs[2:], wanted):
            close(blob.data, value)


@pytest.mark.parametrize("phase", [TRAIN, TEST])
@pytest.mark.parametrize("body", ["momentum: 1", "statistics: BATCH", "statistics: NONE"])
def test_bn_gradients(body, phase):
    rig = bn(body, phase)
    x = random(*SHAPE, seed=3)
    checked = rig.layer.blobs[:2]
    moving = list(rig.layer.blobs[2:])
    g = random(*SHAPE, seed=4)
    rig.forward(x)
    (d,) = rig.backward(g)

    def loss():
        return float((g.astype(np.float64) * rig.forward()).sum())

    step = 1e-2
    for blob, found in [(rig.bottom[0], d), *((b, b.diff.copy()) for b in checked)]:
        flat, expected = blob.data.reshape(-1), np.zeros(blob.count)
        for i in range(blob.count):
            kept = flat[i]
            flat[i] = kept + step
            high = loss()
            flat[i] = kept - step
            expected[i] = (high - loss()) / (2 * step)
            flat[i] = kept
        scale = max(1, np.abs(expected).max())
        assert np.abs(expected - found.reshape(-1)).max() < 2e-2 * scale
    assert not any(b.diff.any() for b in moving)


@pytest.mark.parametrize("body", ["", "statistics: NONE", "frozen: true"])
@pytest.mark.parametrize("phase", [TRAIN, TEST])
def test_bn_in_place_under_a_layer_that_overwrites_it(body, phase):
    apart, within = bn(body, phase), bn(body, phase, in_place=True)
    x, g = random(*SHAPE, seed=5), random(*SHAPE, seed=6)
    close(within.forward(x), apart.forward(x))
    within.top[0].data[...] = 0  # as a ReLU in place might
    close(within.backward(g)[0], apart.backward(g)[0])
    for a, b in zip(apart.layer.blobs[:2], within.layer.blobs[:2]):
        if not apart.layer.frozen:
            close(b.diff, a.diff)


def test_bn_blobs_that_are_not_learned(tmp_path):
    path = tmp_path / "n.prototxt"
    text = """
    layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 2 dim: 2 } } }
    layer { name: "bn" type: "BN" bottom: "x" top: "y" bn_param { slope_filler { value: 1 } %s } }
    layer { name: "l" type: "Reduction" bottom: "y" top: "l" loss_weight: 1 }"""
    path.write_text(
        text % ""
        if "Reduction" in caffe.layer_type_list()
        else (text % "").replace("Reduction", "Power")
    )
    net = caffe.Net(str(path), caffe.TRAIN)
    assert net.params_lr == [1, 1, 0, 0] and net.params_weight_decay == [1, 1, 0, 0]
    path.write_text(path.read_text().replace("value: 1 }", "value: 1 } frozen: true"))
    frozen = caffe.Net(str(path), caffe.TRAIN)
    assert frozen.params_lr == [0] * 4
    assert (frozen.params["bn"][3].data == 1).all()


def test_bn_of_another_number_of_channels():
    with pytest.raises(ShapeError, match="4 channels"):
        bn("").reshape((3, 5, 5, 2))
    with pytest.raises(ShapeError, match="channel axis"):
        bn("", shape=(3,))
