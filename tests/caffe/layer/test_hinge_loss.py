"""HingeLoss."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import DataError, LayerError, ShapeError

labels = np.array([1, 0, 2], np.float32)


@pytest.mark.parametrize("norm, power", [("L1", 1), ("L2", 2)])
def test_forward_and_gradient(device, norm, power):
    rig = Rig(f'type: "HingeLoss" hinge_loss_param {{ norm: {norm} }}', (3, 4), (3,))
    x = random(3, 4)
    sign = np.ones_like(x)
    sign[np.arange(3), labels.astype(int)] = -1
    close(rig.forward(x, labels), (np.maximum(0, 1 + sign * x) ** power).sum() / 3)
    if device == "cpu":
        check_gradient(rig, x, labels)


def test_margins_are_in_the_scores_diff():
    rig = Rig('type: "HingeLoss"', (1, 3), (1,))
    rig.forward(np.array([[0.5, -2, 3]]), np.array([2]))
    close(rig.bottom[0].diff, np.array([[1.5, 0, 0]]))
    assert rig.backward(1.0, bottoms=[False, False]) == [None, None]
    close(rig.bottom[0].diff, np.array([[1.5, 0, 0]]))  # nobody asked for a gradient


@pytest.mark.parametrize("label", [-1, 4, np.nan])
def test_a_label_that_is_no_class_is_refused(label):
    rig = Rig('type: "HingeLoss"', (1, 4), (1,))
    with pytest.raises(LayerError, match="out of range: with 4 classes") as caught:
        rig.forward(random(1, 4), np.array([label]))
    assert isinstance(caught.value, DataError)
    assert "ignore_label" not in str(caught.value)  # this type knows none
    assert rig.forward(random(1, 4), np.array([3])) > 0


def test_bad_bottoms_are_refused():
    with pytest.raises(ShapeError, match="same first dimension"):
        Rig('type: "HingeLoss"', (2, 3), (3,))
