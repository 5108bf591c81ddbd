"""Input: shapes given once, contents the user's."""

import numpy as np
import pytest
from harness import Rig

from caffe.errors import LayerError, ShapeError

ONE = 'type: "Input" input_param { shape { dim: 2 dim: 3 } }'


def test_one_shape_serves_all_tops():
    assert [b.dims for b in Rig(ONE, tops=2).top] == [(2, 3), (2, 3)]


def test_one_shape_each():
    rig = Rig('type: "Input" input_param { shape { dim: 2 } shape { dim: 4 dim: 1 } }', tops=2)
    assert [b.dims for b in rig.top] == [(2,), (4, 1)]


def test_other_counts_are_refused():
    with pytest.raises(LayerError, match="1|3 tops"):
        Rig('type: "Input" input_param { shape { dim: 2 } shape { dim: 4 } }', tops=3)


def test_without_a_shape_the_user_reshapes():
    rig = Rig('type: "Input"')
    with pytest.raises(ShapeError, match="no shape yet"):
        rig.top[0].data  # noqa: B018
    rig.top[0].reshape(1, 2)
    rig.top[0].data[...] = 7
    assert rig.forward().tolist() == [[7, 7]]


def test_forward_keeps_what_was_written_and_reshaped():
    rig = Rig(ONE)
    rig.top[0].reshape(4, 3)
    rig.top[0].data[...] = np.arange(12).reshape(4, 3)
    assert rig.forward().sum() == 66
