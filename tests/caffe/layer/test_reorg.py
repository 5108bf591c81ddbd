"""Reorg against Darknet's loop."""

import numpy as np
import pytest
from harness import Rig, check_gradient, random

from caffe.errors import LayerError, ShapeError


def darknet(x, stride, reverse):
    """Darknet's index arithmetic, number by number."""
    n, c, h, w = x.shape
    few = c // stride**2
    top = np.empty(x.size, np.float32)
    for b, k, j, i in np.ndindex(*x.shape):
        square = k // few
        row = j * stride + square // stride
        column = i * stride + square % stride
        flat = i + w * (j + h * (k + c * b))
        other = column + w * stride * (row + h * stride * (k % few + few * b))
        if reverse:
            top[other] = x.ravel()[flat]
        else:
            top[flat] = x.ravel()[other]
    s = stride
    return top.reshape((n, few, h * s, w * s) if reverse else (n, c * s**2, h // s, w // s))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("stride", "shape"), [(2, (2, 8, 4, 6)), (3, (1, 9, 6, 3)), (1, (1, 2, 3, 4))]
)
def test_reorg(device, reverse, stride, shape):
    x = random(*shape)
    text = f"stride: {stride} reverse: {str(reverse).lower()}"
    rig = Rig(f'type: "Reorg" reorg_param {{ {text} }}', shape)
    assert np.array_equal(rig.forward(x), darknet(x, stride, reverse))
    if device == "cpu" and stride == 2:
        check_gradient(rig, x)


def test_reorg_refuses_what_does_not_divide():
    for shape, match in [
        ((1, 6, 4, 4), "channels must be a multiple"),
        ((1, 4, 4, 3), "height and width must be multiples"),
        ((4, 4, 4), "4 axes"),
    ]:
        with pytest.raises(ShapeError, match=match):
            Rig('type: "Reorg"', shape)
    with pytest.raises(LayerError, match="stride must be positive"):
        Rig('type: "Reorg" reorg_param { stride: 0 }', (1, 4, 4, 4))
