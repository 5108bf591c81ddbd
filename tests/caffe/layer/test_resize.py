"""Resize against the fork's loop."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError


def resize(x, size):
    """Row and column i of the top lie at i times the ratio; a neighbour behind the last is none."""
    top = np.zeros((*x.shape[:2], *size))
    for i, j in np.ndindex(*size):
        y, column = (
            np.float32(k) * np.float32(o / n) for k, o, n in zip((i, j), x.shape[2:], size)
        )
        h, w = int(y), int(column)
        for dh, share in ((0, 1 - (y - h)), (1, y - h)):
            for dw, other in ((0, 1 - (column - w)), (1, column - w)):
                if h + dh < x.shape[2] and w + dw < x.shape[3]:
                    top[:, :, i, j] += share * other * x[:, :, h + dh, w + dw]
    return top


@pytest.mark.parametrize("size", [(8, 10), (3, 2), (4, 5), (7, 9), (1, 1)])
def test_resize(device, size):
    x = random(2, 3, 4, 5)
    rig = Rig(f'type: "Resize" resize_param {{ height: {size[0]} width: {size[1]} }}', x.shape)
    close(rig.forward(x), resize(x, size))
    if device == "cpu":
        check_gradient(rig, x)


def test_resize_by_scales():
    text = "is_pyramid_test: true out_height_scale: 0.5 out_width_scale: 1.7"
    rig = Rig(f'type: "Resize" resize_param {{ {text} }}', (1, 1, 5, 5))
    assert rig.top[0].dims == (1, 1, 2, 8)
    assert rig.reshape((1, 1, 8, 10)) == [(1, 1, 4, 17)]


@pytest.mark.parametrize("text", ["", "height: 3", "is_pyramid_test: true height: 3 width: 3"])
def test_resize_needs_a_size(text):
    with pytest.raises(LayerError, match="needs a positive"):
        Rig(f'type: "Resize" resize_param {{ {text} }}', (1, 1, 5, 5))
