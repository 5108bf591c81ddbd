"""Accum: maps resized with their corners kept, side by side."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError


def resized(x, size):
    top = np.zeros((*x.shape[:2], *size))
    for i, j in np.ndindex(*size):
        v, u = (k * (old - 1) / max(new - 1, 1) for k, old, new in
                zip((i, j), x.shape[2:], size))  # fmt: skip
        y, z = int(v), int(u)
        lower, right = min(y + 1, x.shape[2] - 1), min(z + 1, x.shape[3] - 1)
        upper = x[:, :, y, z] * (1 - u + z) + x[:, :, y, right] * (u - z)
        below = x[:, :, lower, z] * (1 - u + z) + x[:, :, lower, right] * (u - z)
        top[:, :, i, j] = upper * (1 - v + y) + below * (v - y)
    return top


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", (6, 7)),
        ("top_height: 8 top_width: 9", (8, 9)),
        ("top_height: 8 top_width: 7", (6, 7)),  # both have to be larger
        ("size_divisible_by: 4", (8, 8)),
    ],
)
def test_sizes_and_values(device, text, size):
    a, b = random(2, 3, 3, 7, seed=1), random(2, 1, 6, 2, seed=2)
    rig = Rig(f'type: "Accum" accum_param {{ {text} }}', a.shape, b.shape)
    close(rig.forward(a, b), np.concatenate([resized(a, size), resized(b, size)], 1))


def test_the_last_bottom_as_a_reference():
    a, like = random(1, 2, 3, 4), np.zeros((1, 3, 5, 9))
    rig = Rig('type: "Accum" accum_param { have_reference: true }', a.shape, like.shape)
    close(rig.forward(a, like), resized(a, (5, 9)))
    check_gradient(rig, a, like, bottoms=[0])
    assert not rig.backward(np.ones((1, 2, 5, 9)))[1].any()


def test_bottoms_that_do_not_fit():
    with pytest.raises(LayerError, match="at least 2 bottom"):
        Rig('type: "Accum" accum_param { have_reference: true }', (1, 2, 3, 3))
    with pytest.raises(ShapeError, match="as many items"):
        Rig('type: "Accum"', (1, 2, 3, 3), (2, 2, 3, 3))
