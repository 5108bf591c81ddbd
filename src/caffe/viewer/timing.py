"""How long each layer of a net takes, forward, one by one as ``caffe time`` does it."""

from __future__ import annotations

import numpy as np
import torch

from caffe.net import Net
from caffe.timer import Timer

__all__ = ["measure"]


def measure(net: Net, iterations: int) -> tuple[list[float], float]:
    """Milliseconds of each layer, in the net's order, and of a pass as a whole: the means.

    Inputs get noise. The sum of the layers can exceed the pass, which fuses some.
    """
    random = np.random.RandomState(0)
    for name in net.inputs:
        data = net.blobs[name].data
        data[...] = random.uniform(-128, 128, data.shape)
    net._checked_for_zeros = len(net.layers)  # a net without weights takes as long
    net.forward()  # memory is there, and the fastest ways are known
    layers, timer, whole = [0.0] * len(net._layer_names), Timer(), 0.0
    with torch.no_grad():
        for _ in range(iterations):
            for i in range(len(layers)):
                timer.start()
                net._forward_layer(i)
                layers[i] += timer.ms / iterations
    for name in net.inputs:  # as a user's next image would: nothing is kept of the last one
        net.blobs[name].data[...] += 1
    net.forward()
    for _ in range(iterations):
        for name in net.inputs:
            net.blobs[name].data[...] += 1
        timer.start()
        net._forward(0, len(layers) - 1)
        whole += timer.ms / iterations
    return layers, whole
