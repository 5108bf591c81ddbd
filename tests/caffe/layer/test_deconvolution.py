"""Deconvolution: the transpose, and upsampling by channel."""

import numpy as np
import pytest
from conv_rig import conv
from harness import close, random


def test_deconvolution_is_the_transpose():
    """<conv(x), y> = <x, deconv(y)> with the same weights."""
    body = "num_output: {} kernel_size: 3 stride: 2 pad: 1 dilation: 2 group: 2 bias_term: false"
    forth = conv(body.format(6), (2, 4, 11, 9))
    x = random(2, 4, 11, 9)
    y = random(*forth.forward(x).shape, seed=1)
    back = conv(body.format(4), y.shape, kind="Deconvolution")
    assert back.layer.blobs[0].dims == forth.layer.blobs[0].dims == (6, 2, 3, 3)
    back.layer.blobs[0].data[...] = forth.layer.blobs[0].data
    z = back.forward(y)
    assert z.shape == (2, 4, 11, 9)
    assert np.isclose((forth.top[0].data * y).sum(), (x * z).sum(), rtol=1e-4)


@pytest.mark.parametrize("group", [3, 1])
@pytest.mark.parametrize("bias", ["true", "false"])
def test_upsampling_by_channel_gives_the_general_operators_numbers(monkeypatch, group, bias):
    """Frozen kernels, one a channel: as a group each, or (C, C, kh, kw) with zeros between them."""
    text = f"num_output: 3 group: {group} kernel_size: 4 stride: 2 pad: 1 bias_term: {bias}"
    x, found = random(2, 3, 5, 6), []
    for ways in ("", "plain"):
        monkeypatch.setenv("CAFFE_KERNELS", ways)
        rig = conv(text, x.shape, kind="Deconvolution")
        weight, *rest = rig.layer.blobs
        drawn = random(3, 4, 4, seed=2)
        weight.data[...] = 0
        for c in range(3):
            weight.data[c, 0 if group == 3 else c] = drawn[c]
        for blob in rest:
            blob.data[...] = random(3, seed=3)
        y = rig.forward(x).copy()
        rig.backward(random(*y.shape, seed=4), params=[False] + [True] * len(rest))
        found.append([y, rig.bottom[0].diff.copy(), *(blob.diff.copy() for blob in rest)])
    for a, b in zip(*found):
        close(a, b)
