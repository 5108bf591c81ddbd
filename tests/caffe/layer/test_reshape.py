"""Reshape and Flatten: shapes, and memory that is shared."""

import numpy as np
import pytest
from harness import Rig, random

from caffe.errors import LayerError, ShapeError

SHAPE = (2, 3, 4, 5)


def reshape(dims, rest: str = "", shape=SHAPE, **options) -> Rig:
    body = " ".join(f"dim: {d}" for d in dims)
    return Rig(f'type: "Reshape" reshape_param {{ shape {{ {body} }} {rest} }}', shape, **options)


@pytest.mark.parametrize(
    "dims, rest, expected",
    [
        ([0, -1], "", (2, 60)),
        ([6, 20], "", (6, 20)),
        ([0, 0, -1, 1], "", (2, 3, 20, 1)),
        ([-1], "axis: 1 num_axes: 2", (2, 12, 5)),
        ([0, -1, 2], "axis: 1", (2, 3, 10, 2)),
        ([1], "axis: 2 num_axes: 0", (2, 3, 1, 4, 5)),
        ([1, 1], "axis: -1", (2, 3, 4, 5, 1, 1)),
        ([], "axis: 1 num_axes: 0", SHAPE),
        ([2, 10], "axis: -3 num_axes: -1", (2, 3, 2, 10)),
    ],
)
def test_new_shapes(dims, rest, expected):
    assert reshape(dims, rest).top[0].dims == expected


def test_an_inferred_dim_follows_the_bottom():
    rig = reshape([0, -1])
    assert rig.reshape((7, 2, 3, 1)) == [(7, 6)]


def test_reshape_shares_data_and_diff(device):
    rig = reshape([0, -1])
    x = random(*SHAPE)
    np.testing.assert_array_equal(rig.forward(x), x.reshape(2, 60))
    rig.top[0].data[...] = 7
    rig.top[0].diff[...] = 8
    assert (rig.bottom[0].data == 7).all() and (rig.bottom[0].diff == 8).all()


@pytest.mark.parametrize(
    "dims, rest, message",
    [
        ([-1, -1], "", "single -1"),
        ([-2], "", "-1, 0 or positive"),
        ([-1, 7], "", "divisible"),
        ([5, 5], "", "output count must match input count"),
        ([0, 0, 0, 0, 0], "", "no axis 4"),
        ([-1], "axis: 5", "does not fit"),
        ([-1], "axis: 2 num_axes: 3", "does not fit"),
    ],
)
def test_bad_shapes_are_refused(dims, rest, message):
    with pytest.raises((LayerError, ShapeError), match=message):
        reshape(dims, rest)


@pytest.mark.parametrize(
    "body, expected",
    [
        ("", (2, 60)),
        ("axis: 0", (120,)),
        ("axis: 1 end_axis: 2", (2, 12, 5)),
        ("axis: -2 end_axis: -1", (2, 3, 20)),
        ("axis: 2 end_axis: 2", SHAPE),
    ],
)
def test_flatten(device, body, expected):
    rig = Rig(f'type: "Flatten" flatten_param {{ {body} }}', SHAPE)
    x, g = random(*SHAPE), random(*expected, seed=1)
    np.testing.assert_array_equal(rig.forward(x), x.reshape(expected))
    np.testing.assert_array_equal(rig.backward(g)[0], g.reshape(SHAPE))


def test_flatten_refuses_axes_in_the_wrong_order():
    with pytest.raises(ShapeError, match="behind end_axis"):
        Rig('type: "Flatten" flatten_param { axis: 2 end_axis: 1 }', SHAPE)


@pytest.mark.parametrize("text", ['type: "Reshape"', 'type: "Flatten"'])
def test_in_place_is_refused(text):
    with pytest.raises(LayerError, match="in place"):
        Rig(text, SHAPE, in_place=True)
