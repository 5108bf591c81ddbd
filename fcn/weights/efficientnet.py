"""EfficientNet-Lite's weights from PyTorch's names to a caffemodel of our classifier."""

import os
import re
import tempfile

import numpy as np

import caffe
from fcn.classifiers import efficientnet
from fcn.prototxt import to_text

__all__ = ["fill", "layer_of", "write"]

_INNER = re.compile(r"_blocks\.(\d+)\._(expand_conv|depthwise_conv|project_conv|bn\d)\.(\w+)$")
_OUTER = {"_conv_stem": "stem", "_bn0": "stem", "_conv_head": "head", "_bn1": "head", "_fc": "fc"}
#: The convolution that a block's BatchNorm follows.
_OF_NORM = {"bn0": "expand", "bn1": "depthwise", "bn2": "project"}
#: What a BatchNorm of PyTorch holds → (suffix of our layer, blob index).
_NORM = {
    "running_mean": ("_bn", 0),
    "running_var": ("_bn", 1),
    "weight": ("_scale", 0),
    "bias": ("_scale", 1),
}


def layer_of(name):
    """(layer, blob index) of one of PyTorch's tensors, or None for a count of batches.

    >>> layer_of("_blocks.3._bn1.running_var")
    ('block4_depthwise_bn', 1)
    """
    if name.endswith(".num_batches_tracked"):
        return None
    inner = _INNER.match(name)
    if inner:
        number, part, field = inner.groups()
        layer = f"block{int(number) + 1}_" + _OF_NORM.get(part, part.replace("_conv", ""))
    else:
        part, _, field = name.partition(".")
        layer = _OUTER[part]
    if "bn" in part:
        suffix, index = _NORM[field]
        return layer + suffix, index
    return layer, ("weight", "bias").index(field)


def fill(net, state):
    """Write a state dict's tensors to a Net; ValueError unless each blob gets exactly one.

    The first convolution is turned from RGB to BGR.
    """
    wanted = {(name, i) for name, blobs in net.params.items() for i in range(len(blobs))}
    for name, values in state.items():
        place = layer_of(name)
        if place is None:
            continue
        layer, index = place
        if place not in wanted:
            raise ValueError(f"{name} belongs to {layer} blob {index}, which the net lacks")
        wanted.remove(place)
        blob = net.params[layer][index]
        if tuple(blob.data.shape) != values.shape:
            raise ValueError(f"{name} is {values.shape}, {layer} is {tuple(blob.data.shape)}")
        blob.data[...] = values[:, ::-1] if layer == "stem" else values
        if layer.endswith("_bn"):
            net.params[layer][2].data[...] = 1  # mean and variance are stored as they are
            wanted.discard((layer, 2))
    if wanted:
        raise ValueError("nothing for " + ", ".join(f"{n} blob {i}" for n, i in sorted(wanted)))


def write(state, variant, path):
    """Write the classifier's caffemodel."""
    with tempfile.TemporaryDirectory() as folder:
        prototxt = os.path.join(folder, "deploy.prototxt")
        with open(prototxt, "w", encoding="ascii") as f:
            f.write(to_text(efficientnet.lite(variant)("deploy")))
        net = caffe.Net(prototxt, caffe.TEST)
        fill(net, state)
        if not all(np.isfinite(b.data).all() for blobs in net.params.values() for b in blobs):
            raise ValueError("some of the weights are not finite")
        net.save(path)
