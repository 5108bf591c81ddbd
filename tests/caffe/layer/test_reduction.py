"""Reduction."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError

OPERATIONS = {
    "SUM": lambda x: x.sum(-1),
    "ASUM": lambda x: np.abs(x).sum(-1),
    "SUMSQ": lambda x: (x**2).sum(-1),
    "MEAN": lambda x: x.mean(-1),
}


def reduction(body: str, shape=(2, 3, 4), **options) -> Rig:
    return Rig(f'type: "Reduction" reduction_param {{ {body} }}', shape, **options)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("axis, rows", [(0, ()), (1, (2,)), (-1, (2, 3))])
def test_forward_and_gradient(device, operation, axis, rows):
    body = f"operation: {operation} axis: {axis} coeff: -0.5"
    x = random(2, 3, 4)
    y = reduction(body).forward(x)
    assert y.shape == rows  # no axes at all for axis 0
    close(y, -0.5 * OPERATIONS[operation](x.reshape(*rows, -1)))
    if device == "cpu":
        check_gradient(reduction(body), x, step=1e-3)


def test_the_mean_follows_the_shape():
    rig = reduction("operation: MEAN axis: 1")
    assert rig.reshape((5, 2, 2)) == [(5,)]
    np.testing.assert_array_equal(rig.forward(np.full((5, 2, 2), 3)), np.full(5, 3))
    np.testing.assert_array_equal(rig.backward(2.0)[0], np.full((5, 2, 2), 0.5))


def test_the_sign_of_zero_is_zero():
    rig = reduction("operation: ASUM", (3,))
    rig.forward(np.array([-2, 0, 3]))
    np.testing.assert_array_equal(rig.backward(2.0)[0], [-2, 0, 2])


def test_bad_settings_are_refused():
    with pytest.raises(LayerError, match="axis 3 out of range"):
        reduction("axis: 3")
    with pytest.raises(LayerError, match="axis 0 out of range for a blob of 0 axes"):
        reduction("", ())
    with pytest.raises(LayerError, match="in place"):
        reduction("axis: -1", in_place=True)
