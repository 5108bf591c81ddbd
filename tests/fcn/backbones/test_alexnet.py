"""AlexNet in CaffeNet's order, as convolutions."""

from backbone_nets import built, skips, widths


def test_layers_are_the_published_ones():
    net, features, blob = built("alexnet")
    assert list(widths(net).values()) == [96, 256, 384, 384, 256, 4096, 4096]
    layers = {layer.name: layer for layer in net.layer}
    assert layers["conv1"].convolution_param.stride[:] == [4]
    assert layers["conv2"].convolution_param.group == 2
    assert (blob(features.top), features.stride, features.padded) == ("fc7", 32, True)
    assert skips(features, blob) == {16: ("pool2", 256), 8: ("pool1", 96)}


def test_pooling_comes_before_normalisation():
    types = [layer.type for layer in built("alexnet")[0].layer]
    assert types[3:5] == ["Pooling", "LRN"]


def test_without_the_classifier():
    _, features, blob = built("alexnet", classifier=False)
    assert (blob(features.top), features.channels, features.padded) == ("pool5", 256, False)
