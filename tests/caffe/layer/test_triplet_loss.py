"""TripletLoss: against its formula, with its gradients."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError


def triplet(words, *shapes):
    return Rig(f'type: "TripletLoss" triplet_loss_param {{ {words} }}', *shapes)


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1, 1)])
@pytest.mark.parametrize(("words", "margin"), [("", 1), ("margin: 0.2", 0.2)])
def test_triplets(device, shape, words, margin):
    a, p, n = (random(*shape, seed=seed) for seed in range(3))
    rig = triplet(words, shape, shape, shape)
    near, far = (((a - x) ** 2).reshape(6, -1).sum(1) for x in (p, n))
    terms = np.maximum(margin + near - far, 0)
    assert 0 < np.count_nonzero(terms) < 6
    close(rig.forward(a, p, n), terms.sum() / 12)
    if device == "cpu":
        check_gradient(rig, a, p, n)


def test_a_fourth_bottom_is_not_read():
    a, p, n = (random(3, 4, seed=seed) for seed in range(3))
    rig = triplet("", *[(3, 4)] * 3, (3, 1))
    close(rig.forward(a, p, n, np.full((3, 1), 7.0)), triplet("", *[(3, 4)] * 3).forward(a, p, n))


def test_shapes_that_do_not_fit():
    for shapes in ([(3, 4), (3, 4), (3, 5)], [(3, 4, 2)] * 3, [(3,)] * 3):
        with pytest.raises(ShapeError, match="three bottoms of one vector an item"):
            triplet("", *shapes)
