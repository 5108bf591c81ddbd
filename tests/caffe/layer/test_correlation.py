"""Correlation and Correlation1D against loops of NumPy after FlowNet's rule."""

import math

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError


def correlate(a, b, *, kernel, far, pad=0, stride=1, step=1, tall=True, way=0, subtract=False):
    """Patch by patch, on padded maps; what lies outside of these is 0."""
    edge = 200
    ways = [(0, 0), (0, 0), (edge, edge), (edge, edge)]
    a, b = (np.pad(v.astype(np.float64), ways) for v in (a, b))
    n, channels, high, wide = a.shape
    high, wide = (n - 2 * edge for n in (high, wide))
    radius = far // step
    around = [k * step for k in range(-radius, radius + 1)]
    across = {-1: [k * step for k in range(-radius - 1, 0)], 0: around,
              1: [k * step for k in range(radius + 1)]}[way]  # fmt: skip
    pads, fars = ((pad, far) if tall else (0, 0)), ((far if tall else 0), far)
    pads = (pad if tall else 0, pad)
    size = [math.ceil((m + 2 * p - 2 * f - kernel + 1) / stride)
            for m, p, f in zip((high, wide), pads, fars)]  # fmt: skip
    places = [(dy, dx) for dy in (around if tall else [0]) for dx in across]
    top = np.zeros((n, len(places), *size))
    for c, (dy, dx) in enumerate(places):
        for i, j in np.ndindex(*size):
            y, x = (edge - p + f + k * stride for p, f, k in zip(pads, fars, (i, j)))
            one = a[:, :, y : y + kernel, x : x + kernel]
            two = b[:, :, y + dy : y + dy + kernel, x + dx : x + dx + kernel]
            fit = np.abs(one - two) if subtract else one * two
            top[:, c, i, j] = fit.mean((1, 2, 3))
    return top


def layer(shape, *, kernel, far, pad=0, stride=1, step=1, tall=True, way=0, subtract=False):
    kind = "Correlation" if tall else "Correlation1D"
    text = (
        f"kernel_size: {kernel} max_displacement: {far} pad: {pad} stride_1: {stride} "
        f"stride_2: {step} single_direction: {way}"
    )
    if subtract:
        text += " correlation_type: SUBTRACT"
    return Rig(f'type: "{kind}" correlation_param {{ {text} }}', shape, shape)


def case(seed, tall):
    rng = np.random.default_rng(seed)
    kernel, far = int(rng.choice([1, 3, 5])), int(rng.integers(0, 5))
    settings = {
        "kernel": kernel,
        "far": far,
        "pad": int(rng.integers(0, far + 3)),
        "stride": int(rng.integers(1, 4)),
        "step": int(rng.integers(1, 4)),
        "tall": tall,
        "way": 0 if tall else int(rng.integers(-1, 2)),
        "subtract": bool(rng.integers(2)),
    }
    least = max(2 * (far - settings["pad"]) + kernel, kernel)
    shape = (int(rng.integers(1, 3)), int(rng.integers(1, 4)), *rng.integers(least, least + 6, 2))
    return tuple(int(n) for n in shape), settings


@pytest.mark.parametrize("tall", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_values(seed, tall):
    shape, settings = case(seed, tall)
    a, b = random(*shape, seed=1), random(*shape, seed=2)
    expected = correlate(a, b, **settings)
    assert np.allclose(layer(shape, **settings).forward(a, b), expected, atol=1e-5)


def test_flownets_own_settings_find_a_shift(device):
    """The strongest fit of a map with itself, moved by (2, -4), is at that displacement."""
    a = random(1, 16, 12, 14)
    b = np.roll(a, (2, -4), (2, 3))
    settings = {"kernel": 1, "far": 8, "pad": 8, "step": 2}
    found = layer(a.shape, **settings).forward(a, b)
    assert found.shape == (1, 81, 12, 14)
    assert divmod(int(found[0, :, 5, 7].argmax()), 9) == (4 + 1, 4 - 2)
    close(found, correlate(a, b, **settings))


@pytest.mark.parametrize("subtract", [False, True])
@pytest.mark.parametrize("tall", [True, False])
def test_gradient(tall, subtract):
    settings = {
        "kernel": 3,
        "far": 2,
        "pad": 2,
        "stride": 2,
        "tall": tall,
        "way": 0 if tall else -1,
    }
    rig = layer((1, 2, 4, 5), **settings, subtract=subtract)
    a = random(1, 2, 4, 5, seed=3)
    # Values that are nowhere within a step of each other: |x| has a kink.
    b = random(1, 2, 4, 5, seed=4) + np.float32(5 if subtract else 0)
    check_gradient(rig, a, b)


def test_settings_and_shapes_that_make_no_sense():
    for text, match in [
        ("max_displacement: 1", "needs kernel_size"),
        ("kernel_size: 1", "needs max_displacement"),
        ("kernel_size: 2 max_displacement: 1", "kernel_size must be odd, got 2"),
        ("kernel_size: 1 max_displacement: 1 stride_2: 0", "must be positive"),
    ]:
        with pytest.raises(LayerError, match=match):
            Rig(f'type: "Correlation" correlation_param {{ {text} }}', (1, 1, 9, 9), (1, 1, 9, 9))
    with pytest.raises(LayerError, match="must be -1, 0 or 1, got 2"):
        layer((1, 1, 9, 9), kernel=1, far=1, tall=False, way=2)
    with pytest.raises(ShapeError, match=r"no patch of 3 pixels has displacements of 4.*raise pad"):
        layer((1, 1, 9, 9), kernel=3, far=4)
    with pytest.raises(ShapeError, match="must be of one shape"):
        Rig('type: "Correlation" correlation_param { kernel_size: 1 max_displacement: 1 }',
            (1, 1, 9, 9), (1, 2, 9, 9))  # fmt: skip
