"""Concat."""

import numpy as np
import pytest
from harness import Rig, check_gradient, random

from caffe.errors import LayerError, ShapeError


@pytest.mark.parametrize(
    "body, axis", [("", 1), ("axis: -1", 2), ("axis: 0", 0), ("concat_dim: 2", 2)]
)
def test_forward_and_gradient(device, body, axis):
    shapes = [[2, 3, 4], [2, 3, 4]]
    shapes[1][axis] = 5
    rig = Rig(f'type: "Concat" concat_param {{ {body} }}', *shapes)
    arrays = [random(*s, seed=i) for i, s in enumerate(shapes)]
    np.testing.assert_array_equal(rig.forward(*arrays), np.concatenate(arrays, axis))
    check_gradient(rig, *arrays)


def test_a_single_bottom_shares_its_memory(device):
    rig = Rig('type: "Concat"', (2, 3))
    rig.forward(random(2, 3))
    rig.bottom[0].data[...] = 8
    rig.top[0].diff[...] = 9
    assert (rig.top[0].data == 8).all() and (rig.bottom[0].diff == 9).all()
    rig.reshape((4, 5))
    rig.bottom[0].data[...] = 6
    assert (rig.top[0].data == 6).all() and rig.top[0].dims == (4, 5)


def test_gradients_only_where_needed():
    rig = Rig('type: "Concat"', (2, 3), (2, 1))
    rig.forward(random(2, 3), random(2, 1))
    rig.backward(random(2, 4), bottoms=[False, True])
    assert not rig.bottom[0].diff.any() and rig.bottom[1].diff.any()


def test_bad_use_is_refused():
    with pytest.raises(ShapeError, match="except at axis 1"):
        Rig('type: "Concat"', (2, 3), (3, 3))
    with pytest.raises(LayerError, match="not both"):
        Rig('type: "Concat" concat_param { axis: 1 concat_dim: 1 }', (2, 3), (2, 3))
    with pytest.raises(ShapeError, match="axis 2 out of range"):
        Rig('type: "Concat" concat_param { axis: 2 }', (2, 3), (2, 3))
