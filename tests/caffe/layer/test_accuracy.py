"""Accuracy."""

import numpy as np
import pytest
from harness import Rig, close, random

from caffe.errors import DataError, LayerError, ShapeError


def accuracy(body: str = "", scores=(2, 3, 4), labels=(2, 4), tops: int = 1) -> Rig:
    return Rig(f'type: "Accuracy" accuracy_param {{ {body} }}', scores, labels, tops=tops)


def test_share_and_share_by_class(device):
    scores = np.eye(4)[None, :, [0, 0, 1, 2, 1]]  # predictions 0 0 1 2 1
    rig = accuracy(scores=(1, 4, 5), labels=(1, 5), tops=2)
    close(rig.forward(scores, np.array([[0, 1, 1, 2, 2]])), np.float32(0.6))
    close(rig.top[1].data, np.array([1, 0.5, 0.5, 0]))  # class 3 is absent


def test_ties_are_wrong_and_nan_is_right():
    rig = accuracy(scores=(3, 2), labels=(3,))
    assert rig.forward(np.array([[1, 1], [np.nan, 1], [1, 0]]), np.zeros(3)) == np.float32(2 / 3)


@pytest.mark.parametrize("k, expected", [(1, 0), (2, 0.5), (3, 1)])
def test_top_k(k, expected):
    """Class 1 comes second in the first row and third in the second."""
    rig = accuracy(f"top_k: {k}", (2, 3), (2,))
    assert rig.forward(np.array([[1, 2, 3], [3, 1, 2]]), np.array([1, 1])) == expected


def test_ignored_labels_do_not_count():
    scores, labels = random(2, 3, 4), np.random.default_rng(0).integers(0, 3, (2, 4))
    labels[:, :2] = 255
    rig = accuracy("ignore_label: 255", tops=2)
    right = scores.argmax(1) == labels
    close(rig.forward(scores, labels), right[:, 2:].mean(dtype=np.float32))
    assert rig.forward(scores, np.full((2, 4), 255)) == 0
    assert not rig.top[1].data.any()


def test_another_class_axis():
    scores = random(2, 4, 3)
    rig = accuracy("axis: -1", (2, 4, 3))
    assert rig.forward(scores, scores.argmax(2)) == 1


def test_bad_use_is_refused():
    with pytest.raises(LayerError, match=r"top_k \(4\)"):
        accuracy("top_k: 4")
    with pytest.raises(ShapeError, match="number of labels"):
        accuracy(labels=(2, 3))
    with pytest.raises(DataError, match=r"label 3 at \(n, w\) = \(0, 1\).*accuracy_param"):
        accuracy().forward(random(2, 3, 4), np.array([[0, 3, 0, 0]] * 2))
    with pytest.raises(LayerError, match="no backward pass"):
        accuracy().backward(bottoms=[True, False])
