"""BatchReindex."""

import numpy as np
import pytest
from harness import Rig, close, random

from caffe.errors import LayerError, ShapeError

TEXT = 'type: "BatchReindex"'
X_ONLY = [True, False]


@pytest.mark.parametrize("rest", [(), (3,), (2, 3)])
def test_items_are_chosen_and_their_gradients_summed(device, rest):
    rig = Rig(TEXT, (4, *rest), (5,))
    index = np.array([2, 0, 2, 3, 2])
    x, g = random(4, *rest), random(5, *rest, seed=1)
    close(rig.forward(x, index), x[index])
    expected = np.zeros_like(x)
    np.add.at(expected, index, g)
    dx, di = rig.backward(g, bottoms=X_ONLY)
    close(dx, expected)
    assert di is None


def test_a_fraction_is_cut():
    rig = Rig(TEXT, (2, 1), (3,))
    y = rig.forward(np.array([[5], [6]]), np.array([0.9, 1.2, 1.99]))
    np.testing.assert_array_equal(y, [[5], [6], [6]])


def test_no_items_are_items_too():
    rig = Rig(TEXT, (2, 3), (0,))
    assert rig.forward(random(2, 3), np.zeros(0)).shape == (0, 3)
    assert not rig.backward(bottoms=X_ONLY)[0].any()


@pytest.mark.parametrize("bad", [-1, -0.5, 2, np.nan, np.inf])
def test_an_index_out_of_range_is_refused_before_anything_is_written(device, bad):
    rig = Rig(TEXT, (2, 3), (3,))
    kept = rig.forward(random(2, 3), np.array([1, 0, 1]))
    message = r"layer 'layer' .*index \(bottom 1\) must be in \[0, 2\), got .* at position \(1,\)"
    with pytest.raises(ShapeError, match=message):
        rig.forward(random(2, 3, seed=1), np.array([1, bad, 1]))
    np.testing.assert_array_equal(rig.top[0].data, kept)
    rig.forward(random(2, 3), np.zeros(3))


def test_the_index_has_no_gradient():
    rig = Rig(TEXT, (2, 3), (3,))
    rig.forward(random(2, 3), np.zeros(3))
    with pytest.raises(LayerError, match=r"cannot propagate down to the index \(bottom 1\)"):
        rig.backward(1.0)


def test_shapes():
    rig = Rig(TEXT, (2, 3), (3,))
    assert rig.reshape((6, 2, 2), (4,)) == [(4, 2, 2)]
    with pytest.raises(ShapeError, match="must have one axis"):
        rig.reshape((6, 2), (4, 1))
    with pytest.raises(ShapeError, match="batch axis"):
        rig.reshape((), (4,))
