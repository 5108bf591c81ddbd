"""ReLU6: values and gradients, also at its ends and in place."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

X = np.array([[-3, -0.5, 0, 0.5, 3, 6, 6.5, 9]], np.float32)


@pytest.mark.parametrize("in_place", [False, True])
def test_values_and_gradient(device, in_place):
    rig = Rig('type: "ReLU6"', X.shape, in_place=in_place)
    close(rig.forward(X), X.clip(0, 6))
    (diff,) = rig.backward(np.full_like(X, 2))
    assert diff.tolist() == [[0, 0, 0, 2, 2, 0, 0, 0]]


@pytest.mark.parametrize("field", ["relu_param", "relu6_param"])
def test_negative_slope(field):
    rig = Rig(f'type: "ReLU6" {field} {{ negative_slope: 0.5 }}', X.shape)
    close(rig.forward(X), X.clip(0, 6) + 0.5 * X.clip(max=0))
    (diff,) = rig.backward(np.ones_like(X))
    assert diff.tolist() == [[0.5, 0.5, 0.5, 1, 1, 0, 0, 0]]


def test_gradient():
    x = random(3, 5, low=-8, high=8)
    x[(np.abs(x) < 0.1) | (np.abs(x - 6) < 0.1)] = 3
    check_gradient(Rig('type: "ReLU6"', x.shape), x)
