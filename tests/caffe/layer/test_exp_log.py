"""Exp and Log."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError

SHAPE = (2, 3)


def exp(body: str, **options) -> Rig:
    return Rig(f'type: "Exp" exp_param {{ {body} }}', SHAPE, **options)


def log(body: str, **options) -> Rig:
    return Rig(f'type: "Log" log_param {{ {body} }}', SHAPE, **options)


@pytest.mark.parametrize(
    "body, function",
    [
        ("", np.exp),
        ("scale: -0.5 shift: 1", lambda x: np.exp(1 - 0.5 * x)),
        ("base: 2 shift: 3", lambda x: 2 ** (3 + x)),
        ("base: 0.5 scale: 2", lambda x: 0.5 ** (2 * x)),
    ],
)
def test_exp(device, body, function):
    x, g = random(*SHAPE), random(*SHAPE, seed=1)
    found = []
    for in_place in (False, True):
        rig = exp(body, in_place=in_place)
        close(rig.forward(x), function(x))
        found += rig.backward(g)
    close(found[1], found[0])  # the gradient comes from the output alone
    if device == "cpu":
        check_gradient(exp(body), x, step=1e-3)


def test_exp_to_the_base_1_is_constant():
    rig = exp("base: 1 shift: 2")
    assert (rig.forward(random(*SHAPE)) == 1).all()
    assert not rig.backward(1.0)[0].any()


@pytest.mark.parametrize(
    "body, function",
    [
        ("", np.log),
        ("scale: 0.5 shift: 1", lambda x: np.log(1 + 0.5 * x)),
        ("base: 10 shift: 2", lambda x: np.log10(2 + x)),
        ("base: 0.5", lambda x: -np.log2(x)),
    ],
)
def test_log(device, body, function):
    x = random(*SHAPE, low=0.5)
    close(log(body).forward(x), function(x))
    close(log(body, in_place=True).forward(x), function(x))
    if device == "cpu":
        check_gradient(log(body), x, step=1e-3)


def test_log_where_there_is_none():
    rig = log("")
    y = rig.forward(np.array([0, -1, np.nan, np.inf, 1, 2]).reshape(SHAPE))
    expected = [-np.inf, np.nan, np.nan, np.inf, 0, np.log(2)]
    np.testing.assert_allclose(y.ravel(), expected, rtol=1e-6)


def test_log_in_place_the_gradient_is_wrong_as_in_caffe():
    """The slope, of the output in place of the input, is written over the top diff and then
    multiplied with itself."""
    rig = log("scale: 0.5 shift: 2", in_place=True)
    y = rig.forward(random(*SHAPE, low=0.5))
    close(rig.backward(5.0)[0], (0.5 / (2 + 0.5 * y)) ** 2)


@pytest.mark.parametrize("base", ["0", "-2", "inf", "nan"])
def test_bases_that_are_none(base):
    for make in (exp, log):
        with pytest.raises(LayerError, match="base must be positive and finite, or -1 for e"):
            make(f"base: {base}")


def test_no_logarithm_to_the_base_1():
    with pytest.raises(LayerError, match="base 1"):
        log("base: 1")
