"""Backbones on an input, for their tests."""

import caffe
from caffe import layers as L
from fcn.backbones import Trunk
from fcn.catalog.backbones import BACKBONES

SIZE = 96


def built(name, phase="deploy", classifier=True, **trunk):
    """(the net as a message, Features, name → blob in the net) of a backbone on an input."""
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, SIZE, SIZE]))
    features = BACKBONES[name].add(Trunk(n, **trunk), n.data, phase, classifier)
    named = {id(top): layer for layer, top in n.tops.items()}
    net = n.to_proto()
    tops = {layer.name: layer.top[0] for layer in net.layer}  # in place: the bottom's name
    return net, features, lambda top: tops[named[id(top)]]


def widths(net):
    """{convolution: its channels}"""
    convolutions = [layer for layer in net.layer if layer.type == "Convolution"]
    return {layer.name: layer.convolution_param.num_output for layer in convolutions}


def skips(features, blob):
    """{stride: (blob, channels)} of what a head may read beside the top."""
    return {s: (blob(skip.blob), skip.channels) for s, skip in features.skips.items()}
