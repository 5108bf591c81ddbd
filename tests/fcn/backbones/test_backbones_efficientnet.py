"""EfficientNet-Lite: blocks by variant, strides, and the classifier's last convolution."""

import pytest
from backbone_nets import built, skips, widths


@pytest.mark.parametrize("variant, blocks, top", [(0, 16, 320), (1, 21, 320), (2, 21, 352)])
def test_blocks_are_the_published_ones(variant, blocks, top):
    net, features, blob = built(f"efficientnet-lite{variant}")
    projected = [name for name in widths(net) if name.endswith("_project")]
    assert projected == [f"block{i}_project" for i in range(1, blocks + 1)]
    assert widths(net)[projected[-1]] == top
    assert (blob(features.top), features.stride, features.channels) == ("head_relu6", 32, 1280)
    assert set(features.skips) == {16, 8, 4}
    # The bottom of a depthwise convolution has as many groups as channels.
    for layer in net.layer:
        if layer.name.endswith("_depthwise"):
            param = layer.convolution_param
            assert param.group == param.num_output and param.kernel_size[0] in (3, 5)


def test_without_the_classifier_it_ends_at_the_last_block():
    _, features, blob = built("efficientnet-lite0", classifier=False)
    assert (blob(features.top), features.channels) == ("block16_project", 320)
    assert skips(features, blob)[16] == ("block11", 112)
