"""WeightedSoftmaxWithLoss: weights of positions, and what the sum is divided by."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError

LABELS = np.random.default_rng(0).integers(0, 4, (2, 3, 2))


def weighted(words="", weights=(2, 3, 2), tops=1):
    text = f'type: "WeightedSoftmaxWithLoss" loss_param {{ {words} }}'
    return Rig(text, (2, 4, 3, 2), (2, 3, 2), weights, tops=tops)


def by_formula(x, weights, ignored=None):
    powers = np.exp(x - x.max(1, keepdims=True))
    p = powers / powers.sum(1, keepdims=True)
    own = np.take_along_axis(p, LABELS[:, None], 1)[:, 0]
    weights = np.where(ignored == LABELS, 0, weights)
    return -(weights * np.log(own)).sum(), weights.sum()


@pytest.mark.parametrize(
    ("words", "ignored", "divisor"),
    [
        ("", None, None),
        ("ignore_label: 2", 2, None),
        ("normalization: FULL", None, 12),
        ("normalization: BATCH_SIZE", None, 2),
        ("normalization: NONE ignore_label: 0", 0, 1),
    ],
)
def test_weights_count(device, words, ignored, divisor):
    x, weights = random(2, 4, 3, 2), random(2, 3, 2, seed=1, low=0, high=3)
    rig = weighted(words)
    total, sum_of_weights = by_formula(x, weights, ignored)
    close(rig.forward(x, LABELS, weights), total / (divisor or max(sum_of_weights, 1)))
    if device == "cpu":
        check_gradient(rig, x, LABELS, weights, bottoms=[0])


def test_weights_of_one_make_the_plain_loss():
    x = random(2, 4, 3, 2)
    rig = weighted(tops=2)
    plain = Rig('type: "SoftmaxWithLoss"', (2, 4, 3, 2), (2, 3, 2), tops=2)
    close(rig.forward(x, LABELS, np.ones((2, 3, 2))), plain.forward(x, LABELS))
    close(rig.top[1].data, plain.top[1].data)


def test_small_weights_are_divided_by_one():
    x = random(2, 4, 3, 2)
    weights = np.full((2, 3, 2), 0.01)
    close(weighted().forward(x, LABELS, weights), by_formula(x, weights)[0])


def test_weights_that_do_not_fit():
    with pytest.raises(ShapeError, match="one weight a label"):
        weighted(weights=(2, 3, 3))
