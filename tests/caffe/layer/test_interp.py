"""Interp: against bilinear interpolation written out, and its settings."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError


def interp(body, shape=(2, 3, 5, 4)):
    return Rig(f'type: "Interp" interp_param {{ {body} }}', shape)


def bilinear(x, size):
    """Corners aligned: output i of n lies at i (m - 1) / (n - 1) of m inputs; both axes alike."""
    for axis, n in zip((2, 3), size):
        m = x.shape[axis]
        at = np.arange(n) * ((m - 1) / (n - 1) if n > 1 else 0)
        low = np.minimum(at.astype(int), m - 1)
        high = np.minimum(low + 1, m - 1)
        weight = (at - low).reshape((-1, 1) if axis == 2 else (-1,))
        x = x.take(low, axis) * (1 - weight) + x.take(high, axis) * weight
    return x


@pytest.mark.parametrize(
    ("body", "cut", "size"),
    [
        ("height: 9 width: 3", 0, (9, 3)),
        ("height: 1 width: 1", 0, (1, 1)),
        ("zoom_factor: 3", 0, (13, 10)),
        ("shrink_factor: 2", 0, (3, 2)),
        ("shrink_factor: 2 zoom_factor: 4", 0, (9, 5)),
        ("zoom_factor: 2 height: 50 width: 60", 0, (9, 7)),
        ("pad_beg: -1 pad_end: 0 zoom_factor: 2", 1, (7, 5)),
    ],
)
def test_interp(device, body, cut, size):
    rig = interp(body)
    x = random(2, 3, 5, 4)
    close(rig.forward(x), bilinear(x[:, :, cut:, cut:], size))
    if device == "cpu":
        check_gradient(rig, x)


@pytest.mark.parametrize("body", ["zoom_factor: 1", "shrink_factor: 1", "height: 5 width: 4"])
def test_interp_at_factor_1_is_the_identity(body):
    x = random(2, 3, 5, 4)
    assert np.array_equal(interp(body).forward(x), x)


def test_interp_keeps_the_corners_and_follows_a_reshape():
    rig = interp("zoom_factor: 8")
    x = random(2, 3, 5, 4)
    y = rig.forward(x)
    assert np.allclose(y[:, :, ::32, ::24], x[:, :, ::4, ::3], atol=1e-6)
    assert rig.reshape((1, 3, 3, 3)) == [(1, 3, 17, 17)]


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("", "needs zoom_factor, shrink_factor, or both"),
        ("height: 3", "needs zoom_factor, shrink_factor, or both"),
        ("zoom_factor: 0", "at least 1"),
        ("height: 3 width: 3 pad_beg: 1", "can only cut"),
        ("height: 0 width: 3", "would have the size"),
        ("zoom_factor: 2 pad_end: -4", "leave nothing"),
    ],
)
def test_interp_settings_that_make_no_sense(body, match):
    with pytest.raises(LayerError, match=match):
        interp(body)
