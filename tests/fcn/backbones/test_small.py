"""The small backbones of our own: widths, BatchNorm in the place of biases."""

import pytest
from backbone_nets import built, skips, widths


@pytest.mark.parametrize(
    "name, first, top, wide",
    [
        ("toy", 12, ("conv6_1", 64), {16: ("pool4", 48), 8: ("pool3", 32)}),
        ("camvid", 32, ("conv6_3", 224), {16: ("pool4", 96), 8: ("pool3", 48)}),
    ],
)
def test_widths_and_strides(name, first, top, wide):
    net, features, blob = built(name)
    assert widths(net)["conv1_1"] == first
    assert (blob(features.top), features.channels) == top and features.stride == 32
    assert skips(features, blob) == wide and not features.padded


@pytest.mark.parametrize("name", ["toy", "camvid"])
def test_each_convolution_is_normalised_and_has_no_bias(name):
    net, _, _ = built(name)
    kinds = [layer.type for layer in net.layer]
    for i, layer in enumerate(net.layer):
        if layer.type == "Convolution":
            assert not layer.convolution_param.bias_term
            assert kinds[i + 1 : i + 4] == ["BatchNorm", "Scale", "ReLU"], layer.name
