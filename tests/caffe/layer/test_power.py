"""Power."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

SHAPE = (2, 3)


def power(body: str, **options) -> Rig:
    return Rig(f'type: "Power" power_param {{ {body} }}', SHAPE, **options)


@pytest.mark.parametrize(
    "body, function",
    [
        ("", lambda x: x),
        ("scale: -2 shift: 3", lambda x: 3 - 2 * x),
        ("power: 2 scale: 0.5 shift: 1", lambda x: (1 + 0.5 * x) ** 2),
        ("power: 3 scale: 0.5", lambda x: (0.5 * x) ** 3),
        ("power: -1.5 scale: 0.5 shift: 3", lambda x: (3 + 0.5 * x) ** -1.5),
    ],
)
def test_forward_and_gradient(device, body, function):
    x = random(*SHAPE)
    close(power(body).forward(x), function(x))
    close(power(body, in_place=True).forward(x), function(x))
    if device == "cpu":
        check_gradient(power(body), x, step=1e-3)


@pytest.mark.parametrize("body, value", [("power: 0", 1), ("scale: 0 power: 2 shift: 3", 9)])
def test_constants_have_no_gradient(body, value):
    rig = power(body)
    assert (rig.forward(random(*SHAPE)) == value).all()
    assert not rig.backward(1.0)[0].any()


def test_gradient_at_a_base_of_zero():
    cube = power("power: 3")
    cube.forward(np.zeros(SHAPE))
    assert np.isnan(cube.backward(1.0)[0]).all()
    square = power("power: 2")
    square.forward(np.zeros(SHAPE))
    assert not square.backward(1.0)[0].any()


def test_in_place_the_gradient_is_wrong_as_in_caffe():
    """The slope is written over the top diff, then multiplied with itself."""
    rig = power("scale: 3", in_place=True)
    rig.forward(random(*SHAPE))
    assert (rig.backward(5.0)[0] == 9).all()
