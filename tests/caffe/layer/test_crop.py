"""Crop."""

import numpy as np
import pytest
from harness import Rig, check_gradient, random

from caffe.errors import ShapeError

SHAPE, REFERENCE = (2, 3, 6, 5), (9, 1, 2, 3)


@pytest.mark.parametrize(
    "body, window",
    [
        ("", np.s_[:, :, :2, :3]),
        ("offset: 2", np.s_[:, :, 2:4, 2:5]),
        ("offset: 4 offset: 1", np.s_[:, :, 4:6, 1:4]),
        ("axis: -1 offset: 2", np.s_[:, :, :, 2:5]),
        ("axis: 1 offset: 2 offset: 0 offset: 1", np.s_[:, 2:3, :2, 1:4]),
    ],
)
def test_forward_and_gradient(device, body, window):
    rig = Rig(f'type: "Crop" crop_param {{ {body} }}', SHAPE, REFERENCE)
    x = random(*SHAPE)
    np.testing.assert_array_equal(rig.forward(x), x[window])
    check_gradient(rig, x, bottoms=[0])


def test_the_reference_gets_no_gradient():
    rig = Rig('type: "Crop"', SHAPE, REFERENCE)
    rig.forward(random(*SHAPE))
    rig.bottom[1].diff[...] = 5
    rig.backward(1.0)
    assert (rig.bottom[1].diff == 5).all()


def test_the_window_follows_the_reference():
    rig = Rig('type: "Crop" crop_param { offset: 1 }', SHAPE, REFERENCE)
    assert rig.reshape((1, 2, 9, 9), (1, 2, 8, 4)) == [(1, 2, 8, 4)]
    x = random(1, 2, 9, 9)
    np.testing.assert_array_equal(rig.forward(x), x[:, :, 1:, 1:5])


def test_bad_use_is_refused():
    with pytest.raises(ShapeError, match=r"out of bounds on axis 3: offset 3 and size 3"):
        Rig('type: "Crop" crop_param { offset: 3 }', SHAPE, REFERENCE)
    with pytest.raises(ShapeError, match="number of offset values"):
        Rig('type: "Crop" crop_param { axis: 1 offset: 0 offset: 0 }', SHAPE, REFERENCE)
    with pytest.raises(ShapeError, match="fewer axes"):
        Rig('type: "Crop"', SHAPE, (2, 3, 6))
