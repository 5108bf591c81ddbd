"""Bias."""

import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError

SHAPE = (2, 3, 4)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize(
    "body, view",
    [
        ("", (3, 1)),
        ("num_axes: 0", ()),
        ("axis: -1", (4,)),
        ("axis: 0 num_axes: -1", SHAPE),
    ],
)
def test_learned(device, body, view, in_place):
    rig = Rig(
        f'type: "Bias" bias_param {{ {body} filler {{ value: 3 }} }}', SHAPE, in_place=in_place
    )
    bias = rig.layer.blobs[0]
    x, g = random(*SHAPE), random(*SHAPE, seed=1)
    close(rig.forward(x), x + bias.data.reshape(view))
    close(rig.backward(g)[0], g)
    if not in_place and device == "cpu":
        bias.zero_diff()
        check_gradient(rig, x)


def test_two_bottoms():
    rig = Rig('type: "Bias" bias_param { axis: 0 }', SHAPE, (2, 3))
    x, b = random(*SHAPE), random(2, 3, seed=1)
    close(rig.forward(x, b), x + b[..., None])
    check_gradient(rig, x, b)


def test_gradients_accumulate_also_for_one_item():
    rig = Rig('type: "Bias"', (1, 3, 4))
    g = random(1, 3, 4)
    rig.backward(g)
    rig.backward(g)
    close(rig.layer.blobs[0].diff, 2 * g.sum((0, 2)))


def test_bad_use_is_refused():
    with pytest.raises(ShapeError, match="must match"):
        Rig('type: "Bias"', SHAPE, (4,))
