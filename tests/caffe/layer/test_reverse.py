"""Reverse: an axis the other way round."""

import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_reverse(device, axis):
    x = random(2, 3, 4)
    text = f"reverse_param {{ axis: {axis} }}" if axis else ""
    rig = Rig(f'type: "Reverse" {text}', x.shape)
    close(rig.forward(x), x[::-1] if axis == 0 else x[:, ::-1] if axis == 1 else x[..., ::-1])
    if device == "cpu":
        check_gradient(rig, x)


def test_reverse_of_no_axis():
    with pytest.raises(ShapeError, match="axis 3 out of range"):
        Rig('type: "Reverse" reverse_param { axis: 3 }', (2, 3, 4))
