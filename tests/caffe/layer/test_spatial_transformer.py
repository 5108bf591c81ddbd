"""SpatialTransformer: against its formula pixel by pixel, and its gradients."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError


def transformer(words, *shapes):
    return Rig(f'type: "SpatialTransformer" st_param {{ {words} }}', *shapes)


def by_pixel(picture, theta, height, width):
    """One item, as the formula is written."""
    channels, h, w = picture.shape
    top = np.zeros((channels, height, width))
    for r in range(height):
        for c in range(width):
            p, q = theta.reshape(2, 3) @ [2 * r / height - 1, 2 * c / width - 1, 1]
            x, y = (p + 1) / 2 * h, (q + 1) / 2 * w
            for m in (int(np.floor(x)), int(np.floor(x)) + 1):
                for n in (int(np.floor(y)), int(np.floor(y)) + 1):
                    if 0 <= m < h and 0 <= n < w:
                        share = max(0, 1 - abs(x - m)) * max(0, 1 - abs(y - n))
                        top[:, r, c] += share * picture[:, m, n]
    return top


def test_any_affine_map(device):
    picture, theta = random(2, 3, 5, 7), random(2, 6, seed=1, low=-0.9, high=0.9)
    rig = transformer("output_H: 4 output_W: 6", picture.shape, theta.shape)
    expected = [by_pixel(x, t, 4, 6) for x, t in zip(picture, theta)]
    close(rig.forward(picture, theta), np.stack(expected))


def test_gradients():
    theta = np.array([[0.61, 0.13, 0.07, -0.11, 0.57, 0.03]], np.float32)
    rig = transformer("", (1, 2, 5, 6), (1, 6))
    check_gradient(rig, random(1, 2, 5, 6), theta, step=1e-3, tolerance=5e-2)


def test_the_identity_is_the_picture():
    picture = random(1, 2, 5, 6)
    rig = transformer("", picture.shape, (1, 6))
    close(rig.forward(picture, np.array([[1, 0, 0, 0, 1, 0]])), picture)


def test_numbers_that_are_fixed_are_not_a_bottoms():
    picture = random(2, 1, 6, 6)
    words = "theta_1_1: 0.5 theta_1_2: 0 theta_2_1: 0 theta_2_2: 0.5 to_compute_dU: false"
    rig = transformer(words, picture.shape, (2, 2))
    moves = random(2, 2, seed=3, low=-0.3, high=0.3)
    full = [[0.5, 0, a, 0, 0.5, b] for a, b in moves]
    expected = [by_pixel(x, np.array(t), 6, 6) for x, t in zip(picture, full)]
    close(rig.forward(picture, moves), np.stack(expected))
    diff, moved = rig.backward(random(2, 1, 6, 6, seed=4))
    assert not diff.any() and moved.any()


def test_what_is_refused():
    with pytest.raises(LayerError, match="'affine' alone, got 'tps'"):
        transformer("transform_type: 'tps'", (1, 1, 4, 4), (1, 6))
    with pytest.raises(ShapeError, match="theta needs 6 numbers for each of 2 pictures"):
        transformer("", (2, 1, 4, 4), (2, 5))
    with pytest.raises(ShapeError, match="4 axes"):
        transformer("", (2, 4, 4), (2, 6))
    with pytest.raises(ShapeError, match="would have the size"):
        transformer("output_H: 0", (2, 1, 4, 4), (2, 6))
    every = " ".join(f"theta_{i}_{j}: 0" for i in (1, 2) for j in (1, 2, 3))
    with pytest.raises(LayerError, match="all six numbers"):
        transformer(every, (2, 1, 4, 4), (2, 0))
