"""Unpooling against DeconvNet's loops; settings that make no sense."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

import caffe
from caffe.errors import DataError, LayerError, ShapeError


def unpool(x, mask, method, kernel, stride, size):
    """DeconvNet's loops.  A window is cut at the border before its area is taken."""
    top = np.zeros((*x.shape[:2], *size), np.float32)
    for n, c, h, w in np.ndindex(*x.shape):
        if method == "MAX":
            place = min(h * stride[0], size[0] - 1), min(w * stride[1], size[1] - 1)
            if mask is not None:
                place = divmod(int(mask[n, c, h, w]), size[1])
            top[(n, c, *place)] = x[n, c, h, w]
            continue
        rows = slice(h * stride[0], min(h * stride[0] + kernel[0], size[0]))
        columns = slice(w * stride[1], min(w * stride[1] + kernel[1], size[1]))
        area = top[n, c, rows, columns].size
        top[n, c, rows, columns] += x[n, c, h, w] / (area if method == "AVE" else 1)
    return top


def rig_of(method, kernel, stride, size, masked, shape=(2, 3, 3, 4)):
    text = f"unpool: {method} kernel_h: {kernel[0]} kernel_w: {kernel[1]} "
    text += f"stride_h: {stride[0]} stride_w: {stride[1]} "
    text += f"unpool_h: {size[0]} unpool_w: {size[1]}" if size else ""
    return Rig(f'type: "Unpooling" unpooling_param {{ {text} }}', *[shape] * (1 + masked))


GEOMETRIES = [
    ((2, 2), (2, 2), (6, 8)),
    ((2, 2), (2, 2), (7, 9)),
    ((3, 2), (2, 1), (5, 4)),
    ((3, 3), (2, 2), None),
    ((2, 3), (3, 2), (10, 7)),
]


@pytest.mark.parametrize(("kernel", "stride", "size"), GEOMETRIES)
@pytest.mark.parametrize("method", ["MAX", "AVE", "TILE"])
def test_without_a_mask(device, method, kernel, stride, size):
    x = random(2, 3, 3, 4)
    rig = rig_of(method, kernel, stride, size, masked=False)
    size = size or (7, 9)
    assert rig.top[0].dims == (2, 3, *size)
    close(rig.forward(x), unpool(x, None, method, kernel, stride, size))
    if device == "cpu":
        check_gradient(rig, x)


@pytest.mark.parametrize("stride", [2, 3])
def test_first_pixels_beyond_the_border_move_to_it_and_the_last_stays(stride):
    x = random(1, 2, 4, 5)
    rig = rig_of("MAX", (2, 2), (stride, stride), (5, 6), False, x.shape)
    close(rig.forward(x), unpool(x, None, "MAX", (2, 2), (stride, stride), (5, 6)))


def test_with_a_mask(device):
    x = random(2, 3, 3, 4)
    mask = np.stack([np.random.default_rng(i).permutation(48)[:12] for i in range(6)])
    mask = mask.reshape(x.shape).astype(np.float32)
    rig = rig_of("MAX", (2, 2), (2, 2), (6, 8), masked=True)
    close(rig.forward(x, mask), unpool(x, mask, "MAX", (2, 2), (2, 2), (6, 8)))
    if device == "cpu":
        check_gradient(rig, x, mask)
    with pytest.raises(DataError, match=r"outside the top of \[6, 8\].*set unpool_h and unpool_w"):
        rig.forward(x, mask + 48)
        rig.layer.raise_verdict()


def test_after_max_pooling(tmp_path):
    """As DeconvNet writes it: V1 layers, the mask a top of the pooling."""
    path = tmp_path / "n.prototxt"
    path.write_text("""
        input: "x" input_dim: 2 input_dim: 3 input_dim: 6 input_dim: 6 force_backward: true
        layers { bottom: "x" top: "p" top: "m" name: "p" type: POOLING
          pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
        layers { type: UNPOOLING bottom: "p" bottom: "m" top: "u" name: "u"
          unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_size: 6 } }""")
    net = caffe.Net(str(path), caffe.TEST)
    x = random(2, 3, 6, 6)
    y = net.forward(x=x)["u"]
    kept = y != 0
    assert kept.sum() == net.blobs["p"].count and np.array_equal(y[kept], x[kept])
    net.backward(u=np.ones_like(y))
    assert np.array_equal(net.blobs["x"].diff, kept)


@pytest.mark.parametrize(
    ("text", "bottoms", "match"),
    [
        ("", 1, "needs kernel_size"),
        ("kernel_h: 2", 1, "kernel_h and kernel_w must be given together"),
        ("kernel_size: 0", 1, "kernel_size must be positive"),
        ("kernel_size: 2 stride: 0", 1, "stride must be positive"),
        ("kernel_size: 2 pad: 1", 1, "takes no pad"),
        ("kernel_size: 2 pad_h: 0 pad_w: 1", 1, "takes no pad"),
        ("kernel_size: 2 unpool_size: 4 unpool_h: 4 unpool_w: 4", 1, "not both"),
        ("kernel_size: 2 unpool: AVE", 2, "AVE takes one bottom"),
    ],
)
def test_settings_that_make_no_sense(text, bottoms, match):
    with pytest.raises(LayerError, match=match):
        Rig(f'type: "Unpooling" unpooling_param {{ {text} }}', *[(1, 1, 2, 2)] * bottoms)


def test_the_mask_of_unpooling_has_the_bottoms_shape():
    with pytest.raises(ShapeError, match="mask must have the shape"):
        Rig('type: "Unpooling" unpooling_param { kernel_size: 2 }', (1, 1, 2, 2), (1, 1, 2, 3))
