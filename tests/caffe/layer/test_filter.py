"""Filter."""

import numpy as np
import pytest
from harness import Rig, close, random

from caffe.errors import LayerError, ShapeError

TEXT = 'type: "Filter"'
SELECTOR = np.array([0, 1, -0.5, 0])


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1, 1)])
def test_selected_items_pass_and_get_gradients(device, shape):
    rig = Rig(TEXT, (4, 3), (4,), shape, tops=2)
    assert [b.dims for b in rig.top] == [(4, 3), (4,)]  # unfiltered before the first forward pass
    x = random(4, 3), random(4, seed=1)
    close(rig.forward(*x, SELECTOR.reshape(shape)), x[0][1:3])
    close(rig.top[1].data, x[1][1:3])
    g = random(2, 3, seed=2), random(2, seed=3)
    diffs = rig.backward(*g, bottoms=[True, True, False])
    for diff, part in zip(diffs, g):
        close(diff[1:3], part)
        assert not diff[[0, 3]].any()
    assert diffs[2] is None


def test_nan_selects_as_in_caffe():
    rig = Rig(TEXT, (2,), (2,))
    np.testing.assert_array_equal(rig.forward(np.array([5, 6]), np.array([np.nan, 0])), [5])


def test_nothing_selected_gives_no_items(device):
    rig = Rig(TEXT, (2, 3), (2,))
    assert rig.forward(random(2, 3), np.zeros(2)).shape == (0, 3)
    assert not rig.backward(bottoms=[True, False])[0].any()
    assert rig.forward(random(2, 3), np.ones(2)).shape == (2, 3)


def test_reshape_reads_the_selector():
    rig = Rig(TEXT, (4, 3), (4,))
    rig.bottom[1].data[...] = SELECTOR
    assert rig.reshape((4, 3), (4,)) == [(2, 3)]


def test_backward_before_forward_is_zero():
    assert not Rig(TEXT, (4, 3), (4,)).backward(1.0, bottoms=[True, False])[0].any()


def test_the_selector_has_no_gradient():
    rig = Rig(TEXT, (4, 3), (4,))
    rig.forward(random(4, 3), SELECTOR)
    with pytest.raises(LayerError, match=r"cannot propagate down to the selector \(bottom 1\)"):
        rig.backward(1.0)


def test_bad_bottoms_are_refused():
    with pytest.raises(ShapeError, match=r"selector \(bottom 1\) must be N x 1"):
        Rig(TEXT, (4, 3), (4, 2))
    with pytest.raises(ShapeError, match="must be N x 1"):
        Rig(TEXT, (4, 3), ())
    with pytest.raises(ShapeError, match=r"as many items .* bottom 1 is \(3,\)"):
        Rig(TEXT, (4, 3), (3,), (4,), tops=2)
    with pytest.raises(LayerError, match="one top for each bottom but the selector"):
        Rig(TEXT, (4, 3), (4,), (4,))
    with pytest.raises(LayerError, match="in place"):
        Rig(TEXT, (4, 3), (4,), in_place=True)
