"""L2Norm: items of length 1."""

import numpy as np
from harness import Rig, check_gradient, close, random


def test_l2_norm(device):
    x = random(3, 4, 2, 2)
    rig = Rig('type: "L2Norm"', x.shape)
    close(rig.forward(x), x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True)))
    if device == "cpu":
        check_gradient(rig, x)
