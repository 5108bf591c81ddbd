"""Kernel sizes, strides and pads in their two styles."""

import pytest
from harness import Rig

from caffe.errors import LayerError
from caffe.layer._kernel import height_width, require_positive


def convolution(text):
    settings = "{ num_output: 1 kernel_size: 1 " + text + " }"
    return Rig(f'type: "Convolution" convolution_param {settings}', (1, 1, 4, 4)).layer


@pytest.mark.parametrize(
    "text, found",
    [("", None), ("pad: 2", None), ("pad_h: 3", [3, 0]), ("pad_h: 2 pad_w: 3", [2, 3])],
)
def test_the_style_of_two_numbers(text, found):
    settings = (layer := convolution(text)).param.convolution_param
    assert height_width(layer, settings, "pad", ("pad_h", "pad_w")) == found


def test_both_styles_at_once_and_zeros_are_refused():
    with pytest.raises(LayerError, match="give either stride or stride_h and stride_w, not both"):
        convolution("stride: 2 stride_h: 2 stride_w: 2")
    layer = convolution("")
    require_positive(layer, "stride", [1, 2])
    with pytest.raises(LayerError, match=r"stride must be positive on every axis, got \[1, 0\]"):
        require_positive(layer, "stride", [1, 0])
