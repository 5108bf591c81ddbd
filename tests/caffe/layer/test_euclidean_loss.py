"""EuclideanLoss."""

import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError


def test_forward_and_both_gradients(device):
    rig = Rig('type: "EuclideanLoss"', (2, 3, 4), (2, 12))
    a, b = random(2, 3, 4), random(2, 12, seed=1)
    close(rig.forward(a, b), ((a - b.reshape(a.shape)) ** 2).sum() / 4)
    if device == "cpu":
        check_gradient(rig, a, b)


def test_only_the_gradient_asked_for():
    rig = Rig('type: "EuclideanLoss"', (2, 3), (2, 3))
    rig.forward(random(2, 3), random(2, 3, seed=1))
    rig.backward(1.0, bottoms=[False, True])
    assert not rig.bottom[0].diff.any() and rig.bottom[1].diff.any()


def test_bad_bottoms_are_refused():
    with pytest.raises(ShapeError, match="same dimension"):
        Rig('type: "EuclideanLoss"', (2, 3), (2, 4))
    with pytest.raises(ShapeError, match="same first dimension"):
        Rig('type: "EuclideanLoss"', (2, 3), (1, 6))
