"""The head `light`: a quarter of the channels before the score."""

import pytest
from head_nets import layer, value


def test_light_puts_a_quarter_of_the_channels_before_the_score(made):
    train, net = made("light", 32)
    trunk = net.blobs[layer(train, "light_fr").bottom[0]].shape[1]
    light = layer(train, "light_fr").convolution_param
    assert light.num_output == trunk // 4 and light.kernel_size[:] == [3]
    assert layer(train, "drop_fr").dropout_param.dropout_ratio == pytest.approx(0.1)
    assert "drop_fr" not in net._layer_names
    assert (value(net, "light_fr") >= 0).all()  # ReLU works in place
