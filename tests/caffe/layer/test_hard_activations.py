"""HardSigmoid, HardSwish, Mish and their other names, in place and not."""

import numpy as np
import pytest
from harness import Rig, close

FUNCTIONS = {
    "HardSigmoid": (lambda x: np.clip(x + 3, 0, 6) / 6, lambda x: (np.abs(x) < 3) / 6),
    "HSigmoid": (lambda x: np.clip(x + 3, 0, 6) / 6, lambda x: (np.abs(x) < 3) / 6),
    "HardSwish": (
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(x < -3, 0, np.where(x > 3, 1, (2 * x + 3) / 6)),
    ),
    "HSwish": (
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(x < -3, 0, np.where(x > 3, 1, (2 * x + 3) / 6)),
    ),
    "Mish": (
        lambda x: x * np.tanh(np.logaddexp(0, x)),
        lambda x: (
            np.tanh(np.logaddexp(0, x)) + x / np.cosh(np.logaddexp(0, x)) ** 2 / (1 + np.exp(-x))
        ),
    ),
}
X = np.random.default_rng(0).uniform(-9, 9, (2, 3, 4, 5)).astype(np.float32)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_values_and_slopes(device, kind, in_place):
    value, slope = FUNCTIONS[kind]
    rig = Rig(f'type: "{kind}"', X.shape, in_place=in_place)
    close(rig.forward(X), value(X))
    g = np.random.default_rng(1).normal(size=X.shape).astype(np.float32)
    close(rig.backward(g)[0], g * slope(X))


def test_at_the_corners():
    corners = np.array([[-3, 0, 3]], np.float32)
    rig = Rig('type: "HardSigmoid"', corners.shape)
    rig.forward(corners)
    assert rig.backward(1.0)[0].ravel().tolist() == pytest.approx([0, 1 / 6, 0])
