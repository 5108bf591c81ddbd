"""Resample and Downsample against loops of NumPy after FlowNet's rules."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError


def cubic(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0


def tent(x):
    return max(0, 1 - abs(x))


def resample(x, size, kind, antialias):
    fy, fx = (old / new for old, new in zip(x.shape[2:], size))
    top = np.zeros((*x.shape[:2], *size))
    wide = antialias and max(fx, fy) > 1
    for i, j in np.ndindex(*size):
        v, u = i * fy + fx / 2 - 0.5, j * fx + fy / 2 - 0.5
        if kind == "NEAREST":
            y, z = (int(np.copysign(np.floor(abs(c) + 0.5), c)) for c in (v, u))
            y, z = np.clip(y, 0, x.shape[2] - 1), np.clip(z, 0, x.shape[3] - 1)
            top[:, :, i, j] = x[:, :, y, z]
            continue
        weight = cubic if kind == "CUBIC" else tent
        total = 0.0
        for y, z in np.ndindex(*x.shape[2:]):
            w = weight((v - y) / (fy if wide else 1)) * weight((u - z) / (fx if wide else 1))
            top[:, :, i, j] += w * x[:, :, y, z]
            total += w
        top[:, :, i, j] = top[:, :, i, j] / total if total else 0
    return top


@pytest.mark.parametrize("kind", ["NEAREST", "LINEAR", "CUBIC"])
@pytest.mark.parametrize("seed", range(14))
def test_resample(seed, kind):
    rng = np.random.default_rng(seed)
    h, w, *size = (int(n) for n in rng.integers(1, 12, 4))
    if seed % 2:
        size = [2 * h, 2 * w] if seed % 4 == 1 else [max(1, h // 2), max(1, w // 2)]
    antialias = seed % 3 > 0
    x = random(2, 2, h, w, seed=seed)
    text = f"height: {size[0]} width: {size[1]} type: {kind} antialias: {str(antialias).lower()}"
    found = Rig(f'type: "Resample" resample_param {{ {text} }}', x.shape).forward(x)
    assert np.allclose(found, resample(x, size, kind, antialias), atol=2e-4)


def test_the_second_bottom_says_the_size(device):
    x, like = random(1, 2, 6, 8, seed=1), np.zeros((1, 5, 3, 4))
    rig = Rig('type: "Resample"', x.shape, like.shape)
    close(rig.forward(x, like), resample(x, (3, 4), "LINEAR", True))
    small = Rig('type: "Downsample"', x.shape, like.shape)
    close(small.forward(x, like), downsample(x, (3, 4))[0])


def test_gradient():
    check_gradient(
        Rig('type: "Resample" resample_param { height: 3 width: 7 type: CUBIC }', (1, 2, 5, 4)),
        random(1, 2, 5, 4),
    )


def downsample(x, size):
    """The result, and where rounding decides whether enough is known."""
    steps = [(old - 1) / (new - 1) for old, new in zip(x.shape[2:], size)]
    top = np.zeros((*x.shape[:2], *size))
    tie = np.zeros(top.shape, bool)
    for n, c, i, j in np.ndindex(*top.shape):
        known = missing = total = 0.0
        for y, z in np.ndindex(*x.shape[2:]):
            w = tent((y - i * steps[0]) / steps[0]) * tent((z - j * steps[1]) / steps[1])
            if np.isnan(x[n, c, y, z]):
                missing += w
            else:
                known += w
                total += w * x[n, c, y, z]
        top[n, c, i, j] = np.nan if missing > 0.5 * known else total / known
        tie[n, c, i, j] = abs(missing - 0.5 * known) < 1e-5
    return top, tie


@pytest.mark.parametrize("seed", range(20))
def test_downsample(seed):
    rng = np.random.default_rng(seed)
    x = random(2, 2, *(int(n) for n in rng.integers(5, 14, 2)), seed=seed)
    x[rng.random(x.shape) < 0.2] = np.nan
    size = [int(n) for n in rng.integers(2, 5, 2)]
    text = f"top_height: {size[0]} top_width: {size[1]}"
    found = Rig(f'type: "Downsample" downsample_param {{ {text} }}', x.shape).forward(x)
    expected, tie = downsample(x, size)
    assert np.allclose(found[~tie], expected[~tie], atol=1e-4, equal_nan=True)


def test_a_bottom_of_the_size_wanted_is_copied():
    x = random(1, 1, 1, 3)
    rig = Rig('type: "Downsample" downsample_param { top_height: 1 top_width: 3 }', x.shape)
    assert np.array_equal(rig.forward(x), x)


def test_settings_and_shapes_that_make_no_sense():
    with pytest.raises(LayerError, match=r"needs a height and a width.*got 0 x 5"):
        Rig('type: "Resample" resample_param { width: 5 }', (1, 1, 4, 4))
    with pytest.raises(LayerError, match="got AREA"):
        Rig('type: "Resample" resample_param { type: AREA }', (1, 1, 4, 4))
    with pytest.raises(ShapeError, match="corners can be kept from 2 pixels on"):
        Rig('type: "Downsample" downsample_param { top_height: 1 top_width: 3 }', (1, 1, 4, 4))
    with pytest.raises(ShapeError, match="4 axes"):
        Rig('type: "Resample" resample_param { height: 1 width: 3 }', (1, 4))
