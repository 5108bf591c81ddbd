"""VGG-16 and VGG-19 as convolutions: configurations D and E of the paper."""

import pytest
from backbone_nets import built, skips, widths

STAGES = [64, 128, 256, 512, 512]


@pytest.mark.parametrize("name, counts", [("vgg16", [2, 2, 3, 3, 3]), ("vgg19", [2, 2, 4, 4, 4])])
def test_convolutions_are_those_of_the_paper(name, counts):
    net, features, blob = built(name)
    found = list(widths(net).items())
    want = [
        (f"conv{s}_{i}", width)
        for s, (width, count) in enumerate(zip(STAGES, counts), 1)
        for i in range(1, count + 1)
    ]
    assert found == [*want, ("fc6", 4096), ("fc7", 4096)]
    layers = {layer.name: layer.convolution_param for layer in net.layer}
    assert layers["conv1_1"].pad[:] == [100] and layers["conv1_2"].pad[:] == [1]
    assert layers["fc6"].kernel_size[:] == [7]
    assert (blob(features.top), features.stride, features.channels) == ("fc7", 32, 4096)
    assert features.padded and skips(features, blob) == {16: ("pool4", 512), 8: ("pool3", 256)}


def test_without_the_classifier_it_ends_at_the_last_pooling_and_pads_a_step_of_its_grid():
    net, features, blob = built("vgg16", classifier=False)
    assert (blob(features.top), features.channels, features.padded) == ("pool5", 512, False)
    assert net.layer[1].convolution_param.pad[:] == [33]  # 1 and a step of stride 32
