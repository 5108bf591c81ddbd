"""How Scale and Bias spread a small blob over a large one."""

import pytest
import torch
from harness import Rig

from caffe.layer._broadcast import Broadcast, learned_shape

BOTTOM = (2, 3, 4, 5)


@pytest.fixture
def layer():
    return Rig('type: "Scale"', BOTTOM).layer


@pytest.mark.parametrize("operand, axis", [((3,), 1), ((2, 3), 0), ((4, 5), -2), ((), 7)])
def test_gather_is_the_gradient_of_spread(layer, operand, axis):
    spread = Broadcast(layer, BOTTOM, operand, axis)
    small = torch.randn(operand, requires_grad=True)
    large = spread.spread(small).expand(BOTTOM)
    diff = torch.randn(BOTTOM)
    (large * diff).sum().backward()
    torch.testing.assert_close(spread.gather(diff), small.grad)
    assert spread.outer * spread.size * spread.inner == 120


def test_an_operand_that_does_not_fit(layer):
    with pytest.raises(Exception, match=r"operand \(4,\) must match the bottom .* from axis 1 on"):
        Broadcast(layer, BOTTOM, (4,), 1)


@pytest.mark.parametrize(
    "text, shape", [("", (3,)), ("num_axes: 0", ()), ("axis: 2 num_axes: -1", (4, 5))]
)
def test_shapes_that_are_learned(text, shape):
    layer = Rig('type: "Scale" scale_param { ' + text + " }", BOTTOM).layer
    assert learned_shape(layer, layer.param.scale_param, BOTTOM) == shape


def test_more_axes_than_there_are(layer):
    settings = layer.param.scale_param
    settings.num_axes = 4
    with pytest.raises(Exception, match="num_axes 4 from axis 1 reaches past"):
        learned_shape(layer, settings, BOTTOM)
    settings.num_axes = -2
    with pytest.raises(Exception, match="num_axes must be -1, 0 or more, got -2"):
        learned_shape(layer, settings, BOTTOM)
