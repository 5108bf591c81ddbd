"""Eltwise: SUM, PROD, MAX; ties and in-place use."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError

SHAPE = (2, 3, 4)
X = [random(*SHAPE, seed=i) for i in range(3)]


def eltwise(body: str, count: int = 3, **options) -> Rig:
    return Rig(f'type: "Eltwise" eltwise_param {{ {body} }}', *[SHAPE] * count, **options)


@pytest.mark.parametrize(
    "body, expected",
    [
        ("", X[0] + X[1] + X[2]),
        ("coeff: 1 coeff: -2 coeff: 0.5", X[0] - 2 * X[1] + 0.5 * X[2]),
        ("coeff: 3 coeff: 1 coeff: 1", 3 * X[0] + X[1] + X[2]),
        ("operation: PROD", X[0] * X[1] * X[2]),
        ("operation: PROD stable_prod_grad: false", X[0] * X[1] * X[2]),
        ("operation: MAX", np.maximum(np.maximum(X[0], X[1]), X[2])),
    ],
)
def test_forward_and_gradient(device, body, expected):
    rig = eltwise(body)
    close(rig.forward(*X), expected)
    check_gradient(rig, *X, step=1e-3)


def test_of_equal_values_the_second_wins_and_the_third_loses():
    rig = eltwise("operation: MAX")
    rig.forward(np.zeros(SHAPE), np.zeros(SHAPE), np.zeros(SHAPE))
    assert [d.sum() for d in rig.backward(1.0)] == [0, 24, 0]


def test_unstable_product_gradient_is_nan_at_zero():
    zero = np.zeros(SHAPE)
    unstable = eltwise("operation: PROD stable_prod_grad: false", 2)
    unstable.forward(zero, X[1])
    assert np.isnan(unstable.backward(1.0)[0]).all()
    stable = eltwise("operation: PROD", 2)
    stable.forward(zero, X[1])
    close(stable.backward(1.0)[0], X[1])


def test_in_place_follows_caffe(device):
    """The top is cleared before the first operand is read; a product reads both at once."""
    close(eltwise("coeff: 2 coeff: 3", 2, in_place=True).forward(*X[:2]), 3 * X[1])
    close(eltwise("operation: MAX", 2, in_place=True).forward(*X[:2]), X[1])
    rig = eltwise("operation: PROD", 2, in_place=True)
    y = rig.forward(*X[:2])
    close(y, X[0] * X[1])
    # Each factor is written over the diff that the next step reads.
    first, second = rig.backward(X[2])
    close(first, X[1] ** 2)
    close(second, y * X[1] ** 2)


def test_bad_use_is_refused():
    with pytest.raises(LayerError, match="one coefficient per bottom"):
        eltwise("coeff: 1 coeff: 2")
    with pytest.raises(LayerError, match="only for SUM"):
        eltwise("operation: PROD coeff: 1 coeff: 2 coeff: 3")
    with pytest.raises(ShapeError, match="bottom 1 is"):
        Rig('type: "Eltwise"', (2, 3), (3, 2))


def test_one_bottom_and_a_coefficient_scale(device):
    """FlowNet's nets scale so; BVLC Caffe wants two bottoms."""
    layer = Rig('type: "Eltwise" eltwise_param { coeff: 20 }', SHAPE)
    x = random(*SHAPE)
    close(layer.forward(x), 20 * x)
    close(layer.backward(x)[0], 20 * x)
    for text in ("", "eltwise_param { operation: PROD }", "eltwise_param { operation: MAX }"):
        with pytest.raises(LayerError, match="at least 2 bottom"):
            Rig(f'type: "Eltwise" {text}', SHAPE)
    with pytest.raises(LayerError, match="cannot work in place"):
        Rig('type: "Eltwise" eltwise_param { coeff: 2 }', SHAPE, in_place=True)
