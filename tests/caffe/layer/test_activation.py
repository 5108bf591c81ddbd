"""ReLU, Sigmoid and TanH."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

FUNCTIONS = {
    'type: "ReLU"': lambda x: np.maximum(x, 0),
    'type: "ReLU" relu_param { negative_slope: 0.1 }': lambda x: np.where(x > 0, x, 0.1 * x),
    'type: "Sigmoid"': lambda x: 1 / (1 + np.exp(-x)),
    'type: "TanH"': np.tanh,
}
BOTH = pytest.mark.parametrize("text", FUNCTIONS)


@BOTH
@pytest.mark.parametrize("in_place", [False, True])
def test_forward(device, text, in_place):
    rig = Rig(text, (2, 3, 4), in_place=in_place)
    x = random(2, 3, 4)
    close(rig.forward(x), FUNCTIONS[text](x))
    assert in_place or (rig.bottom[0].data == x).all()
    assert rig.reshape((5,)) == [(5,)]


@BOTH
def test_gradient(text):
    check_gradient(Rig(text, (2, 3, 4)), random(2, 3, 4), step=1e-3)


@BOTH
def test_in_place_gives_the_same_gradient(device, text):
    x, g = random(2, 3, 4), random(2, 3, 4, seed=1)
    found = []
    for in_place in (False, True):
        rig = Rig(text, (2, 3, 4), in_place=in_place)
        rig.forward(x)
        found += rig.backward(g)
    close(found[1], found[0])


@pytest.mark.parametrize("text", ['type: "Sigmoid"', 'type: "TanH"'])
def test_backward_reads_the_top_as_it_is(text):
    rig = Rig(text, (1,))
    rig.forward(np.zeros(1))
    rig.top[0].data[...] = 0.25
    (d,) = rig.backward(1.0)
    assert np.isclose(d[0], 0.25 * 0.75 if "Sigmoid" in text else 1 - 0.25**2)


def test_relu_at_zero_and_nan():
    rig = Rig('type: "ReLU" relu_param { negative_slope: 0.5 }', (2,))
    y = rig.forward(np.array([0, np.nan]))
    assert y[0] == 0 and np.isnan(y[1])
    assert rig.backward(1.0)[0][0] == 0.5


def test_negative_slope_below_zero_in_place_is_wrong_as_in_caffe():
    """The output of a negative input is positive: its slope is taken for 1."""
    rig = Rig('type: "ReLU" relu_param { negative_slope: -2 }', (1,), in_place=True)
    assert rig.forward(np.array([-1.0])) == 2
    assert rig.backward(1.0)[0] == 1
