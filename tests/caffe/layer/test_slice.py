"""Slice."""

import numpy as np
import pytest
from harness import Rig, check_gradient, random

from caffe.errors import LayerError, ShapeError


@pytest.mark.parametrize(
    "body, axis, points",
    [
        ("", 1, [2, 4]),
        ("slice_point: 1 slice_point: 5", 1, [1, 5]),
        ("axis: -1 slice_point: 1 slice_point: 2", 2, [1, 2]),
        ("slice_dim: 0 slice_point: 1 slice_point: 2", 0, [1, 2]),
    ],
)
def test_forward_and_gradient(device, body, axis, points):
    rig = Rig(f'type: "Slice" slice_param {{ {body} }}', (3, 6, 4), tops=3)
    x = random(3, 6, 4)
    rig.forward(x)
    for blob, part in zip(rig.top, np.split(x, points, axis)):
        np.testing.assert_array_equal(blob.data, part)
    check_gradient(rig, x)


def test_tops_have_memory_of_their_own():
    rig = Rig('type: "Slice"', (1, 4), tops=2)
    rig.forward(random(1, 4))
    rig.top[0].data[...] = 9
    assert (rig.bottom[0].data != 9).all()


def test_a_single_top_shares_its_memory(device):
    rig = Rig('type: "Slice"', (2, 3))
    rig.forward(random(2, 3))
    rig.bottom[0].data[...] = 8
    rig.top[0].diff[...] = 9
    assert (rig.top[0].data == 8).all() and (rig.bottom[0].diff == 9).all()


@pytest.mark.parametrize(
    "body, message",
    [
        ("slice_point: 1", "one slice_point fewer"),
        ("slice_point: 3 slice_point: 3", "strictly increasing"),
        ("slice_point: 3 slice_point: 7", "strictly increasing"),
        ("axis: 2", "evenly divide"),
        ("axis: 1 slice_dim: 1", "not both"),
    ],
)
def test_bad_use_is_refused(body, message):
    with pytest.raises((LayerError, ShapeError), match=message):
        Rig(f'type: "Slice" slice_param {{ {body} }}', (3, 6, 4), tops=3)
