"""Nets to try things on without published weights: random weights, narrower and unpadded copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import caffe
    from caffe.proto import caffe_pb2

__all__ = ["fill", "narrowed", "unpadded"]


def fill(net: caffe.Net, seed: int = 0, bias: float = 0.1) -> None:
    """Random weights of the size that keeps what flows through ReLUs at one scale, layer by layer.

    Weights are normal with variance 2 / (inputs of a value), biases normal with deviation `bias`.
    Layers whose parameters are not weight and bias of a convolution or inner product stay.
    """
    random = np.random.RandomState(seed)
    kinds = {"Convolution", "InnerProduct"}
    for name, layer in zip(net._layer_names, net.layers):
        if layer.type not in kinds:
            continue
        weight = net.params[name][0].data
        spread = np.sqrt(2.0 / (weight.size // weight.shape[0]))
        weight[...] = random.standard_normal(weight.shape) * spread
        for blob in list(net.params[name])[1:]:
            blob.data[...] = random.standard_normal(blob.data.shape) * bias


def narrowed(net: caffe_pb2.NetParameter, divisor: int, least: int = 1) -> caffe_pb2.NetParameter:
    """A copy of a NetParameter whose convolutions and inner products are `divisor` times narrower.

    Groups stay, and each width stays a multiple of its own and at least `least`; that it is one of
    the groups that read it is for the divisor to see to.
    """
    made = type(net)()
    made.CopyFrom(net)
    for layer in made.layer:
        if layer.type == "Convolution":
            param: Any = layer.convolution_param
            group = layer.convolution_param.group
        elif layer.type == "InnerProduct":
            param, group = layer.inner_product_param, 1
        else:
            continue
        param.num_output = group * max(param.num_output // divisor // group, least)
    return made


def unpadded(net: caffe_pb2.NetParameter, size: Any) -> caffe_pb2.NetParameter:
    """A copy of a deploy NetParameter that pads nothing, for images of size×size, one at a time."""
    made = type(net)()
    made.CopyFrom(net)
    for layer in made.layer:
        if layer.type == "Input":
            layer.input_param.shape[0].dim[0] = 1
            layer.input_param.shape[0].dim[2:] = [size, size]
        for field in ("convolution_param", "pooling_param"):
            if layer.HasField(field):
                getattr(layer, field).ClearField("pad")
    return made
