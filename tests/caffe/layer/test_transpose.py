"""Transpose: the axes in another order, all of them named."""

import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError


def transpose(dim, *shape):
    words = " ".join(f"dim: {n}" for n in dim)
    return Rig(f'type: "Transpose" transpose_param {{ {words} }}', shape)


@pytest.mark.parametrize("dim", [(3, 2, 0, 1), (0, 1, 2, 3), (2, 0, 3, 1)])
def test_transpose(device, dim):
    x = random(2, 3, 4, 5)
    rig = transpose(dim, *x.shape)
    close(rig.forward(x), x.transpose(dim))
    if device == "cpu":
        check_gradient(rig, x)


@pytest.mark.parametrize("dim", [(), (0, 1, 2), (0, 1, 2, 2), (0, 1, 2, 4), (0, 1, 2, -1)])
def test_all_axes_are_named_once(dim):
    with pytest.raises(LayerError, match="must name each of the 4 axes"):
        transpose(dim, 2, 3, 4, 5)
