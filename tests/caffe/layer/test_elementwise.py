"""The base of layers that compute each number by itself."""

import pytest
import torch
from harness import Rig

from caffe.layer import Need
from caffe.layer._elementwise import Elementwise


def test_the_top_has_the_bottoms_shape_and_one_without_a_gradient_says_so():
    layer = Rig('type: "Threshold"', (2, 3)).layer
    assert isinstance(layer, Elementwise) and layer.reshape([(4, 1, 7)]) == [(4, 1, 7)]
    x = torch.zeros(2, 3)
    assert layer.backward([x], [x], [x], [], Need((False,), ())) == ([None], [])
    with pytest.raises(Exception, match="'layer' .type Threshold.: has no gradient"):
        layer.backward([x], [x], [x], [], Need((True,), ()))
