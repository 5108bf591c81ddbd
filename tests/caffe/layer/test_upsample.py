"""Upsample: unpooling against a loop of NumPy, nearest neighbour, and masks that do not fit."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

import caffe
from caffe.errors import DataError, LayerError, ShapeError


def upsample(body, shape=(2, 3, 2, 3), masked=True):
    return Rig(f'type: "Upsample" upsample_param {{ {body} }}', *[shape] * (1 + masked))


def unpool(x, mask, size):
    """SegNet's rule, written out: in raster order, each value goes where its mask says."""
    top = np.zeros((*x.shape[:2], size[0] * size[1]), np.float32)
    for n, c, h, w in np.ndindex(*x.shape):
        if mask[n, c, h, w] >= 0:
            top[n, c, int(mask[n, c, h, w])] = x[n, c, h, w]
    return top.reshape(*x.shape[:2], *size)


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ("", (4, 6)),
        ("scale: 3", (6, 9)),
        ("scale_h: 1 scale_w: 2", (2, 6)),
        ("scale: 2 pad_out_h: true", (3, 6)),
        ("pad_out_h: true pad_out_w: true", (3, 5)),
        ("scale: 2 upsample_h: 5 upsample_w: 7", (5, 7)),
    ],
)
def test_unpooling(device, body, size):
    rig = upsample(body)
    x = random(2, 3, 2, 3)
    mask = np.stack(
        [np.random.default_rng(i).permutation(size[0] * size[1])[:6] for i in range(6)]
    ).reshape(2, 3, 2, 3)
    close(rig.forward(x, mask), unpool(x, mask, size))
    if device == "cpu":
        check_gradient(rig, x, mask.astype(np.float32))


def test_of_values_for_one_place_the_last_stays_and_gets_the_gradient(device):
    rig = upsample("upsample_h: 2 upsample_w: 2", (1, 1, 2, 2))
    x = np.array([[[[1, 2], [3, 4]]]], np.float32)
    mask = np.array([[[[3, 3], [0, -1]]]], np.float32)
    assert rig.forward(x, mask).ravel().tolist() == [3, 0, 0, 2]
    diff, _ = rig.backward(np.array([[[[5, 6], [7, 8]]]], np.float32))
    assert diff.ravel().tolist() == [0, 8, 5, 0]


@pytest.mark.parametrize("value", [16, -2, 1e9])
def test_a_mask_that_points_outside(value):
    rig = upsample("", (1, 1, 2, 2))
    mask = np.zeros((1, 1, 2, 2), np.float32)
    mask[0, 0, 0, 0] = value
    with pytest.raises(DataError, match="'layer'.*outside the top of .*MAX Pooling"):
        rig.forward(random(1, 1, 2, 2), mask)
    rig.forward(random(1, 1, 2, 2), np.zeros_like(mask))  # and the layer still works


@pytest.mark.parametrize(
    ("size", "kernel", "pad_out"), [(6, 2, ""), (5, 2, "pad_out_h: true pad_out_w: true")]
)
def test_upsample_after_max_pooling_keeps_the_maxima_alone(tmp_path, size, kernel, pad_out):
    path = tmp_path / "n.prototxt"
    path.write_text(f"""force_backward: true
    layer {{ name: "x" type: "Input" top: "x"
      input_param {{ shape {{ dim: 2 dim: 3 dim: {size} dim: {size} }} }} }}
    layer {{ name: "p" type: "Pooling" bottom: "x" top: "p" top: "m"
      pooling_param {{ kernel_size: {kernel} stride: {kernel} }} }}
    layer {{ name: "u" type: "Upsample" bottom: "p" bottom: "m" top: "u"
      upsample_param {{ scale: {kernel} {pad_out} }} }}""")
    net = caffe.Net(str(path), caffe.TEST)
    x = random(2, 3, size, size)
    y = net.forward(x=x)["u"]
    kept = y != 0
    assert kept.sum() == net.blobs["p"].count and np.array_equal(y[kept], x[kept])
    net.backward(u=np.ones_like(y))
    assert np.array_equal(net.blobs["x"].diff, kept)  # the gradient comes back where it came from


def test_without_a_mask_every_pixel_becomes_a_square(device):
    rig = upsample("scale_h: 2 scale_w: 3", masked=False)
    x = random(2, 3, 2, 3)
    close(rig.forward(x), x.repeat(2, 2).repeat(3, 3))
    if device == "cpu":
        check_gradient(rig, x)


@pytest.mark.parametrize(
    ("body", "masked", "match"),
    [
        ("scale_h: 2", True, "scale_h and scale_w must be given together"),
        ("upsample_w: 2", True, "upsample_h and upsample_w must be given together"),
        ("scale: 2 scale_h: 2 scale_w: 2", True, "not both"),
        ("scale: 0", True, "must be positive"),
        ("scale: 3 pad_out_h: true", True, "need a scale of 2"),
        ("", False, "without a mask"),
        ("scale: 2 upsample_h: 4 upsample_w: 4", False, "without a mask"),
    ],
)
def test_upsample_settings_that_make_no_sense(body, masked, match):
    with pytest.raises(LayerError, match=match):
        upsample(body, masked=masked)


def test_the_mask_has_the_bottoms_shape():
    with pytest.raises(ShapeError, match="mask must have the shape"):
        Rig('type: "Upsample"', (1, 1, 2, 2), (1, 1, 2, 3))
