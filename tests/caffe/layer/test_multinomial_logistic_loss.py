"""MultinomialLogisticLoss."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import DataError, ShapeError

labels = np.array([1, 0, 2], np.float32)


def test_forward_and_gradient(device):
    rig = Rig('type: "MultinomialLogisticLoss"', (3, 4), (3, 1, 1, 1))
    p = random(3, 4, low=0.2, high=1)
    picked = p[np.arange(3), labels.astype(int)]
    close(rig.forward(p, labels.reshape(3, 1, 1, 1)), -np.log(picked).sum() / 3)
    if device == "cpu":
        check_gradient(rig, p, labels.reshape(3, 1, 1, 1))


def test_a_probability_of_zero_counts_as_1e_20():
    rig = Rig('type: "MultinomialLogisticLoss"', (1, 2), (1,))
    close(rig.forward(np.array([[0, 1]]), np.array([0])), np.float32(-np.log(1e-20)))
    close(rig.backward(1.0)[0], np.array([[-1e20, 0]]))


def test_bad_bottoms_are_refused():
    with pytest.raises(ShapeError, match="one label an item"):
        Rig('type: "MultinomialLogisticLoss"', (2, 3), (2, 3))
    with pytest.raises(ShapeError, match="same first dimension"):
        Rig('type: "MultinomialLogisticLoss"', (2, 3), (3,))
    with pytest.raises(DataError, match="label 3 .* out of range"):
        Rig('type: "MultinomialLogisticLoss"', (2, 3), (2,)).forward(random(2, 3), np.array([0, 3]))
