"""Convolution, Deconvolution, InnerProduct and Im2col."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.export.graph import Graph, Size, Value
from caffe.export.table import refuse, writes

Values = Sequence[Value]


@writes(
    "Convolution",
    "ConvolutionDepthwise",
    "Deconvolution",
    "DepthwiseConvolution",
)
def convolution(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Conv or ConvTranspose; the axes before the channels become one batch axis and back."""
    if layer.spatial_axes > 3:
        raise refuse(layer, f"ONNX convolves over 3 axes at most, not {layer.spatial_axes}")
    weight_shape = layer.blobs[0].dims
    if layer.spatial_axes == 0:  # a product of matrices: one spatial axis of one place
        weight_shape = (*weight_shape, 1)
    parameters = [g.weight(layer.blobs[0], "weight", weight_shape)]
    if layer.has_bias:
        parameters.append(g.weight(layer.blobs[1], "bias"))
    return [_convolve(g, layer, x, parameters) for x in bottoms]


def _convolve(g: Graph, layer: Any, x: Value, parameters: list[str]) -> str:
    first = layer.channel_axis
    outer, inner = g.sizes(x)[:first], g.sizes(x)[first:]
    places = inner[1:] or [1]
    flat = first == 1 and layer.spatial_axes > 0
    name = x.name if flat else g.reshape(x, [_product(g, outer), inner[0], *places])
    pads = _pads(layer, x) or [0, 0]
    if not layer.transposed and set(layer.kernel) == {1} and any(pads):
        # SqueezeNet's last layer. OpenCV 5.0 forgets the pad of a kernel of one pixel.
        half = len(pads) // 2
        around = g.ints([0, 0, *pads[:half], 0, 0, *pads[half:]])
        name, pads = g.node("Pad", name, around, g.number(0), mode="constant"), [0] * len(pads)
    attributes = {
        "kernel_shape": list(layer.kernel) or [1],
        "strides": list(layer.stride) or [1],
        "dilations": list(layer.dilation) or [1],
        "group": layer.group,
        "pads": pads,
    }
    op = "ConvTranspose" if layer.transposed else "Conv"
    y = g.node(op, name, *parameters, **attributes)
    if flat:
        return y
    out = [_out_size(g, layer, i, n) for i, n in enumerate(inner[1:])]
    return g.node("Reshape", y, g.shape(_one_inferred([*outer, layer.num_output, *out])))


def _pads(layer: Any, x: Value) -> list[int]:
    """The pads before and behind each axis.  Caffe rounds toward zero and reads zeros where the
    kernel is a little larger than what it is laid on."""
    behind = list(layer.pad)
    if not layer.transposed:
        sizes = x.shape[layer.channel_axis + 1 :]
        if not _free_places(layer, x):
            beyond = layer._overhang(sizes)[1::2][::-1]
            behind = [p + b for p, b in zip(behind, beyond)]
    return [*layer.pad, *behind]


def _free_places(layer: Any, x: Value) -> bool:
    return any(axis > layer.channel_axis for axis in x.free)


def _out_size(g: Graph, layer: Any, axis: int, size: Size) -> Size:
    """The size of a top's spatial axis."""
    stride, pad = layer.stride[axis], layer.pad[axis]
    extent = layer.dilation[axis] * (layer.kernel[axis] - 1) + 1
    if layer.transposed:
        return g.plus(g.times(g.minus(size, 1), stride), extent - 2 * pad)
    if isinstance(size, int):
        return layer.out_size(axis, size)
    return g.plus(g.divide(g.plus(size, 2 * pad - extent), stride), 1)


def _product(g: Graph, sizes: Sequence[Size]) -> Size:
    """The product, -1 (to be inferred) where it is not known."""
    if all(isinstance(n, int) for n in sizes):
        return math.prod(n for n in sizes if isinstance(n, int))
    return -1


def _one_inferred(sizes: Sequence[Size]) -> list[Size]:
    """The sizes, the first unknown one as -1."""
    result = list(sizes)
    for i, n in enumerate(result):
        if not isinstance(n, int):
            result[i] = -1
            break
    return result


@writes("InnerProduct")
def inner_product(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """Gemm on a matrix of (batch axes, inputs)."""
    x, first = bottoms[0], layer.first
    if len(x.shape) == 2 and first == 1:
        rows = x.name
    elif first == 1:
        rows = g.node("Flatten", x.name, axis=1)
    else:
        outer = _product(g, g.sizes(x)[:first])
        rows = g.node("Reshape", x.name, g.shape([outer, layer.num_input]))
    parameters = [g.weight(layer.blobs[0], "weight")]
    if layer.has_bias:
        parameters.append(g.weight(layer.blobs[1], "bias"))
    y = g.node("Gemm", rows, *parameters, transB=0 if layer.transpose else 1)
    if first == 1:
        return [y]
    return [g.node("Reshape", y, g.shape(_one_inferred([*g.sizes(x)[:first], layer.num_output])))]


@writes("Im2col")
def im2col(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """A convolution with a filter for each place of the kernel, 1 there and 0 elsewhere."""
    if layer.spatial_axes > 3 or layer.channel_axis != 1:
        raise refuse(layer, "only 1 to 3 spatial axes behind axis 1 can be cut into windows")
    x = bottoms[0]
    channels, places = x.shape[1], math.prod(layer.kernel)
    taps = np.eye(places, dtype=np.float32).reshape(places, 1, *layer.kernel)
    layer.transposed = False
    y = g.node(
        "Conv",
        x.name,
        g.constant(np.tile(taps, (channels, 1, *[1] * layer.spatial_axes)), "places"),
        kernel_shape=list(layer.kernel),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        group=channels,
        pads=_pads(layer, x),
    )
    return [y]


@writes("Local")
def local(g: Graph, layer: Any, bottoms: Values) -> list[str]:
    """A convolution that cuts windows out, a product with the weights of each place, and a sum."""
    x = bottoms[0]
    channels, taps = x.shape[1], layer.kernel**2
    filters = np.eye(taps, dtype=np.float32).reshape(taps, 1, layer.kernel, layer.kernel)
    windows = g.node(
        "Conv",
        x.name,
        g.constant(np.tile(filters, (channels, 1, 1, 1)), "places"),
        kernel_shape=[layer.kernel] * 2,
        strides=[layer.stride] * 2,
        group=channels,
        pads=[layer.pad] * 4,
    )
    windows = g.node("Reshape", windows, g.ints([0, 1, channels * taps, -1]))
    shape = (1, layer.channels, channels * taps, layer.out[0] * layer.out[1])
    y = g.node("Mul", windows, g.weight(layer.blobs[0], "weight", shape))
    y = g.node("ReduceSum", y, g.ints([2]), keepdims=0)
    if len(layer.blobs) > 1:
        y = g.node("Add", y, g.weight(layer.blobs[1], "bias", layer.blobs[1].dims[1:]))
    return [g.node("Reshape", y, g.ints([0, layer.channels, *layer.out]))]
