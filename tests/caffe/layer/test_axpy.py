"""Axpy: a factor a channel times one blob, plus another."""

import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError


@pytest.mark.parametrize("factors", [(2, 3), (2, 3, 1, 1)])
def test_axpy(device, factors):
    rig = Rig('type: "Axpy"', factors, (2, 3, 4, 5), (2, 3, 4, 5))
    a, x, y = random(*factors, seed=1), random(2, 3, 4, 5, seed=2), random(2, 3, 4, 5, seed=3)
    close(rig.forward(a, x, y), a.reshape(2, 3, 1, 1) * x + y)
    if device == "cpu":
        check_gradient(rig, a, x, y)


def test_axpy_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match="x and y must have one shape"):
        Rig('type: "Axpy"', (2, 3), (2, 3, 4, 5), (2, 3, 4, 4))
    for factors in [(2, 4), (3, 3), (2, 3, 1, 5), (2,)]:
        with pytest.raises(ShapeError, match=r"one an item and channel of .*\(2, 3\)"):
            Rig('type: "Axpy"', factors, (2, 3, 4, 5), (2, 3, 4, 5))
    with pytest.raises(LayerError, match="in place"):
        Rig('type: "Axpy"', (2, 3), (2, 3), (2, 3), in_place=True)
