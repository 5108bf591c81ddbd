"""ChannelNorm: the length of each pixel's vector."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError


def test_lengths(device):
    x = random(2, 3, 4, 5)
    rig = Rig('type: "ChannelNorm"', x.shape)
    close(rig.forward(x), np.linalg.norm(x, axis=1, keepdims=True))
    if device == "cpu":
        check_gradient(rig, x, step=1e-3)


def test_no_gradient_where_all_channels_are_0():
    rig = Rig('type: "ChannelNorm"', (1, 2, 1, 2))
    rig.forward(np.array([0, 3, 0, 4], np.float32).reshape(1, 2, 1, 2))
    (found,) = rig.backward(np.ones((1, 1, 1, 2)))
    assert np.allclose(found.reshape(2, 2), [[0, 0.6], [0, 0.8]])


def test_it_needs_images():
    with pytest.raises(ShapeError, match="4 axes"):
        Rig('type: "ChannelNorm"', (2, 3))
