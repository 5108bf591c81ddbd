"""Depthwise convolution: a Convolution with one group a channel."""

import pytest
from harness import Rig, close, random

from caffe.errors import LayerError


@pytest.mark.parametrize("kind", ["ConvolutionDepthwise", "DepthwiseConvolution"])
@pytest.mark.parametrize(
    "outputs", ["", "num_output: 4", "num_output: 8", "num_output: 4 group: 4"]
)
def test_depthwise_is_a_convolution_with_one_group_a_channel(device, kind, outputs):
    body = "kernel_size: 3 pad: 1 stride: 2"
    rig = Rig(f'type: "{kind}" convolution_param {{ {body} {outputs} }}', (2, 4, 5, 6))
    total = 8 if "8" in outputs else 4
    plain = Rig(
        f'type: "Convolution" convolution_param {{ {body} num_output: {total} group: 4 }}',
        (2, 4, 5, 6),
    )
    assert rig.layer.blobs[0].dims == plain.layer.blobs[0].dims == (total, 1, 3, 3)
    for i, (a, b) in enumerate(zip(rig.layer.blobs, plain.layer.blobs)):
        a.data[...] = b.data[...] = random(*a.dims, seed=i)
    x = random(2, 4, 5, 6, seed=7)
    close(rig.forward(x), plain.forward(x))
    g = random(*rig.top[0].dims, seed=8)
    close(rig.backward(g)[0], plain.backward(g)[0])
    for a, b in zip(rig.layer.blobs, plain.layer.blobs):
        close(a.diff, b.diff)


def test_depthwise_refuses_another_group():
    with pytest.raises(LayerError, match="number of channels, 4, got 2"):
        Rig(
            'type: "ConvolutionDepthwise" convolution_param { kernel_size: 1 group: 2 }',
            (1, 4, 2, 2),
        )
    with pytest.raises(LayerError, match="multiple of group"):
        Rig(
            'type: "ConvolutionDepthwise" convolution_param { kernel_size: 1 num_output: 6 }',
            (1, 4, 2, 2),
        )
