"""Weights that are all zero are warned of, once, unless somebody asked for them."""

import pytest
from small_net import SMALL

import caffe


def test_zero_weights_are_warned_of_once(make_net):
    text = SMALL.replace('weight_filler { type: "gaussian" std: 0.5 }', "")
    net = make_net(text)
    with pytest.warns(caffe.ZeroWeightsWarning, match="'conv'.*all zero"):
        net.forward()
    net.forward()
    make_net(SMALL.replace('type: "gaussian" std: 0.5', 'type: "constant"')).forward()


@pytest.mark.parametrize(
    "layer, warned",
    [
        ('name: "ip" type: "InnerProduct" inner_product_param { num_output: 2 }', True),
        ('name: "score" type: "InnerProduct" inner_product_param { num_output: 2 }', True),
        ('name: "up" type: "Bias"', False),
        ('name: "none" type: "Power"', False),
    ],
)
def test_which_layers_are_warned_of(make_net, recwarn, layer, warned):
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } } '
    net = make_net(text + f'layer {{ {layer} bottom: "x" top: "y" }}')
    net.forward()
    assert len([w for w in recwarn if w.category is caffe.ZeroWeightsWarning]) == warned
    train = make_net(text + f'layer {{ {layer} bottom: "x" top: "y" }}', caffe.TRAIN)
    recwarn.clear()
    train.forward()  # FCN learns its scores from zero
    assert len(recwarn) == (warned and "score" not in layer)


def test_one_warning_names_the_layers_that_run(make_net, recwarn):
    text = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } } '
    layer = 'layer {{ name: "ip{0}" type: "InnerProduct" bottom: "{1}" top: "{2}" {3} }}'
    size = "inner_product_param { num_output: 2 }"
    net = make_net(text + "".join(layer.format(i, "x", f"y{i}", size) for i in range(8)))
    net.forward(end="x")
    assert not recwarn
    net.forward(end="ip0")
    assert "layer 'ip0' (type InnerProduct) are all zero, so its output" in str(
        recwarn.pop().message
    )
    net.forward()
    net.forward()
    assert "'ip5' (type InnerProduct) and 2 more are all zero" in str(recwarn.pop().message)
    assert not recwarn
