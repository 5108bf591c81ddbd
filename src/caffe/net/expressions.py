"""What layers compute in TEST, as functions of tensors alone: no state, no look at a value, nothing
in place.  So they can be compiled (kernels/compiled.py), and run later for a pass that is over.

A function is right for finite inputs.  Its settings and its weights are those of the moment when
it was made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from caffe.kernels.fused import Activation
from caffe.kernels.upsampling import diagonal
from caffe.kernels.ways import columns
from caffe.layer import Layer, Shape
from caffe.layer._affine import is_affine_of, scale_and_shift
from caffe.layer.activation import ReLU, Sigmoid, TanH
from caffe.layer.batch_norm import BatchNorm
from caffe.layer.bias import Bias
from caffe.layer.concat import Concat
from caffe.layer.convolution import Convolution
from caffe.layer.crop import Crop
from caffe.layer.deconvolution import Deconvolution
from caffe.layer.dropout import Dropout
from caffe.layer.eltwise import Eltwise
from caffe.layer.extensions.depthwise import ConvolutionDepthwise, DepthwiseConvolution
from caffe.layer.extensions.relu6 import ReLU6
from caffe.layer.inner_product import InnerProduct
from caffe.layer.lrn import LRN
from caffe.layer.piecewise import Clip
from caffe.layer.pooling import Pooling
from caffe.layer.prelu import PReLU
from caffe.layer.reshape import Flatten, Reshape
from caffe.layer.scale import Scale
from caffe.layer.slice import Slice
from caffe.layer.softmax import Softmax
from caffe.layer.split import Split
from caffe.net.folding import affine_stage
from caffe.storage import Storage

__all__ = ["Expression", "Weights", "activation", "compiles", "convolution", "expression"]

#: From a layer's bottoms to its tops.
Expression = Callable[..., "list[torch.Tensor]"]
Weights = Sequence[torch.Tensor]

_MOST_CONVOLUTION_WEIGHTS = 1 << 22
_MOST_PRODUCT_WEIGHTS = 1 << 21  # beyond, memory is what counts, and packing would take more
_MOST_LAID_OUT = 1 << 23  # weights; more are read where they lie


def expression(layer: Layer, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    """What ``layer`` computes from bottoms of these shapes; None where there is no such function.

    The layer must have been reshaped for them.
    """
    make = _TABLE.get(type(layer))
    if make is None or not all(min(shape, default=0) > 0 for shape in bottoms):
        return None
    return make(layer, bottoms, weights)


def compiles(layer: Any) -> bool:
    """Whether the function of ``layer`` gains from oneDNN's graph compiler, and is right there."""
    if type(layer) in _NOT_COMPILED:
        return False
    if isinstance(layer, Convolution):
        return not layer.blobs or layer.blobs[0].count <= _MOST_CONVOLUTION_WEIGHTS
    if type(layer) is InnerProduct:
        return not layer.transpose and layer.blobs[0].count <= _MOST_PRODUCT_WEIGHTS
    if type(layer) is Eltwise:
        return layer.operation == layer.SUM and all(c == 1 for c in layer.coeff)
    return True


def convolution(layer: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> Expression:
    """The convolution of ``layer`` with other weights."""
    settings = list(layer.stride), list(layer.pad), list(layer.dilation)
    if weight.numel() > _MOST_LAID_OUT and layer.group == 1 and list(layer.dilation) == [1, 1]:
        return lambda x: [columns.convolve(x, weight, bias, *settings[:2])]
    return lambda x: [torch.conv2d(x, weight, bias, *settings, layer.group)]


def activation(act: Activation, slopes: torch.Tensor | None) -> Expression:
    """An activation by oneDNN's name; with ``slopes`` a PReLU."""
    if slopes is not None:
        return lambda x: [torch.prelu(x, slopes)]
    name, scalars = act
    if name == "relu":
        return lambda x: [torch.relu(x)]
    if name == "leaky_relu":
        return lambda x: [F.leaky_relu(x, scalars[0])]
    if name == "hardtanh":
        return lambda x: [torch.clamp(x, *scalars)]
    return lambda x: [x]


def _number(value: float) -> torch.Tensor:
    """A factor or a summand: a plain number becomes a float64 tensor in a program, which oneDNN's
    graph compiler does not take beside float32."""
    return torch.tensor(value, dtype=torch.float32)


def _convolution(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    if layer.spatial_axes != 2 or layer.channel_axis != 1 or len(bottoms) != 1 or not weights:
        return None
    if any(layer._overhang(bottoms[0][2:])):
        return None
    return convolution(layer, weights[0], weights[1] if len(weights) > 1 else None)


def _inner_product(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    if layer.first != 1:
        return None
    weight, bias = weights[0], weights[1] if len(weights) > 1 else None
    if layer.transpose:
        weight = weight.t()
    return lambda x: [F.linear(x.flatten(1), weight, bias)]


def _deconvolution(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    if layer.spatial_axes != 2 or layer.channel_axis != 1 or len(bottoms) != 1 or not weights:
        return None
    weight, bias = weights[0], weights[1] if len(weights) > 1 else None
    stride, pad, dilation = list(layer.stride), list(layer.pad), list(layer.dilation)

    @functools.cache
    def kernels() -> tuple[torch.Tensor, int]:
        own = diagonal(weight, Storage(0)) if layer.group == 1 else None
        return (weight, layer.group) if own is None else (own, len(own))

    def run(x: torch.Tensor) -> list[torch.Tensor]:
        kernel, groups = kernels()
        return [F.conv_transpose2d(x, kernel, bias, stride, pad, 0, groups, dilation)]

    return run


def _affine(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    if len(bottoms) != 1 or len(bottoms[0]) != 4 or not is_affine_of(layer, bottoms[0][1]):
        return None
    stage = affine_stage(*scale_and_shift(layer, weights))
    return lambda x: [stage(x)]


def _relu(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    slope = layer.slope
    return activation(Activation("leaky_relu", (slope,)) if slope else Activation("relu"), None)


def _relu6(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    return None if layer.slope else activation(Activation("hardtanh", (0.0, 6.0)), None)


def _clip(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    low, high = layer.low, layer.high
    return activation(Activation("hardtanh", (low, high)), None) if low <= high else None


def _prelu(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    return activation(Activation("none"), weights[0].view(-1))


def _pooling(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    if layer.stochastic or layer.num_tops != 1 or layer.ceil_mode is None:
        return None
    settings = list(layer.kernel), list(layer.stride), list(layer.pad)
    ceil = layer.ceil_mode
    if not layer.all_see_image:
        return None
    if layer.max:
        return lambda x: [torch.max_pool2d(x, *settings, [1, 1], ceil)]
    return lambda x: [F.avg_pool2d(x, *settings, ceil, True)]


def _lrn(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    if layer.in_place:
        return None
    if not layer.across:
        return _lrn_within(layer)
    share, k, beta = _number(layer.alpha / layer.size), _number(layer.k), layer.beta
    reach = min(layer.size // 2, bottoms[0][1] - 1)

    def run(x: torch.Tensor) -> list[torch.Tensor]:
        square = x * x
        total = square.clone()
        # In place: oneDNN's graph compiler would take sums of parts, and computes them slowly.
        for d in range(1, reach + 1):
            total[:, d:] += square[:, :-d]
            total[:, :-d] += square[:, d:]
        s = total.mul_(share).add_(k)
        if beta == 0.75:
            root = s.rsqrt()
            return [root.sqrt().mul_(root).mul_(x)]
        return [s.pow(-beta).mul_(x)]

    return run


def _lrn_within(layer: Any) -> Expression:
    n, alpha, one, beta = layer.size, _number(layer.alpha), _number(1), layer.beta

    def run(x: torch.Tensor) -> list[torch.Tensor]:
        means = F.avg_pool2d(x * x, [n, n], [1, 1], [n // 2, n // 2], False, True)
        s = torch.addcmul(one, means, alpha)  # which oneDNN's graph compiler leaves alone
        if beta == 0.75:
            root = s.rsqrt()
            return [root.sqrt().mul_(root).mul_(x)]
        return [s.pow(-beta).mul_(x)]

    return run


def _concat(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    axis = layer.join_axis
    return (lambda *xs: [torch.cat(xs, axis)]) if len(bottoms) > 1 else None


def _split(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    count = layer.num_tops
    return lambda x: [x] * count


def _dropout(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    if layer._drops:
        return None
    if layer._scale == 1:
        return lambda x: [x]
    scale = _number(layer._scale)
    return lambda x: [x * scale]


def _eltwise(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    if layer.in_place or len(bottoms) < 2:
        return None
    factors = [None if c == 1 else _number(c) for c in layer.coeff]

    def add(*xs: torch.Tensor) -> list[torch.Tensor]:
        terms = [x if a is None else x * a for x, a in zip(xs, factors)]
        return [functools.reduce(torch.add, terms)]

    if layer.operation == layer.SUM:
        return add
    operator = torch.mul if layer.operation == layer.PROD else torch.maximum
    return lambda *xs: [functools.reduce(operator, xs)]


def _crop(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    window = layer.window
    return lambda x, reference: [x[window]]


def _slice(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    sizes, axis = list(layer.sizes), layer.cut_axis
    return (lambda x: list(x.split(sizes, axis))) if len(sizes) > 1 else None


def _other_shape(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    (top,) = layer.reshape([tuple(shape) for shape in bottoms])
    return lambda x: [x.reshape(top)]


def _softmax(layer: Any, bottoms: Sequence[Shape], weights: Weights) -> Expression | None:
    axis = layer.class_axis
    return lambda x: [torch.softmax(x, axis)]


_TABLE: dict[type[Layer], Callable[[Any, Sequence[Shape], Weights], Expression | None]] = {
    BatchNorm: _affine,
    Bias: _affine,
    Clip: _clip,
    Concat: _concat,
    Convolution: _convolution,
    ConvolutionDepthwise: _convolution,
    Crop: _crop,
    Deconvolution: _deconvolution,
    DepthwiseConvolution: _convolution,
    Dropout: _dropout,
    Eltwise: _eltwise,
    Flatten: _other_shape,
    InnerProduct: _inner_product,
    LRN: _lrn,
    PReLU: _prelu,
    Pooling: _pooling,
    ReLU: _relu,
    ReLU6: _relu6,
    Reshape: _other_shape,
    Scale: _affine,
    Sigmoid: lambda layer, bottoms, weights: lambda x: [torch.sigmoid(x)],
    Slice: _slice,
    Softmax: _softmax,
    Split: _split,
    TanH: lambda layer, bottoms, weights: lambda x: [torch.tanh(x)],
}
#: What PyTorch computes as fast, or what oneDNN's graph compiler leaves alone.
_NOT_COMPILED = (
    ConvolutionDepthwise, Crop, Deconvolution, DepthwiseConvolution, Flatten, Reshape, Slice,
)  # fmt: skip
