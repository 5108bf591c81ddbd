"""Softmax."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("in_place", [False, True])
def test_forward_and_gradient(device, axis, in_place):
    text = f'type: "Softmax" softmax_param {{ axis: {axis} }}'
    rig = Rig(text, (2, 3, 4), in_place=in_place)
    x, g = random(2, 3, 4), random(2, 3, 4, seed=1)
    e = np.exp(x)
    y = e / e.sum(axis, keepdims=True)
    close(rig.forward(x), y)
    close(rig.backward(g)[0], (g - (g * y).sum(axis, keepdims=True)) * y)
    if not in_place and device == "cpu":
        check_gradient(rig, x)


def test_large_scores_do_not_overflow():
    y = Rig('type: "Softmax"', (1, 3)).forward(np.array([[1000, 999, -1000]]))
    close(y, np.array([[1, np.exp(-1), 0]]) / (1 + np.exp(-1)))
