"""ReLU, ELU, Sigmoid, TanH, Swish and BNLL."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

FUNCTIONS = {
    'type: "ReLU"': lambda x: np.maximum(x, 0),
    'type: "ReLU" relu_param { negative_slope: 0.1 }': lambda x: np.where(x > 0, x, 0.1 * x),
    'type: "Sigmoid"': lambda x: 1 / (1 + np.exp(-x)),
    'type: "TanH"': np.tanh,
    'type: "ELU" elu_param { alpha: 0.7 }': lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)),
    'type: "Swish"': lambda x: x / (1 + np.exp(-x)),
    'type: "Swish" swish_param { beta: -2 }': lambda x: x / (1 + np.exp(2 * x)),
    'type: "BNLL"': lambda x: np.log1p(np.exp(x)),
}
BOTH = pytest.mark.parametrize("text", FUNCTIONS)
RIGHT_IN_PLACE = pytest.mark.parametrize("text", [t for t in FUNCTIONS if "BNLL" not in t])


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


@RIGHT_IN_PLACE
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


def test_elu_with_a_negative_alpha_in_place_is_wrong_as_in_caffe():
    text = 'type: "ELU" elu_param { alpha: -1 }'
    check_gradient(Rig(text, (2, 3)), random(2, 3), step=1e-3)
    rig = Rig(text, (1,), in_place=True)
    assert rig.forward(np.array([-1.0])) > 0
    assert rig.backward(1.0)[0] == 1


def test_elu_at_zero_has_the_slope_of_the_left():
    rig = Rig('type: "ELU" elu_param { alpha: 0.25 }', (1,))
    assert rig.forward(np.zeros(1)) == 0
    assert rig.backward(1.0)[0] == 0.25


def test_swish_keeps_its_gate():
    """The gradient is of the last forward pass, whatever stands in the bottom since."""
    rig = Rig('type: "Swish"', (3,))
    assert not rig.backward(1.0)[0].any()  # no forward yet
    x = random(3)
    rig.forward(x)
    expected = rig.backward(1.0)[0]
    rig.bottom[0].data[...] = 9
    np.testing.assert_array_equal(rig.backward(1.0)[0], expected)


def test_bnll_of_large_numbers():
    rig = Rig('type: "BNLL"', (4,))
    x = np.array([1e4, 60, -60, -1e4])
    np.testing.assert_allclose(rig.forward(x), np.logaddexp(0, x), rtol=1e-6)
    np.testing.assert_allclose(rig.backward(2.0)[0], [2, 2, 2 * np.exp(-60), 0], rtol=1e-5)


def test_bnll_in_place_takes_the_output_for_the_input_as_in_caffe():
    rig = Rig('type: "BNLL"', (3,), in_place=True)
    y = rig.forward(random(3))
    close(rig.backward(1.0)[0], 1 / (1 + np.exp(-y)))
