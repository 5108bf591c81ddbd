"""What the native kernels compute of each layer type: a table of :class:`Form` makers.

A form is made from a layer's settings and the shapes of its bottoms, before its weights are known;
it tells which operation of a program the layer becomes.  Layers that only pass numbers on (Split,
Dropout in TEST) become none.  A layer type without a row, or settings that a row refuses, have no
native form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from caffe.layer import Layer, Shape
from caffe.layer._affine import is_affine_of
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
from caffe.native import memory, program
from caffe.native.parts import Geometry
from caffe.native.program import Act, has
from caffe.net import native_windows as windows
from caffe.net.native_forms import ACT, AFFINE, ALIAS, CROP, SUM, Call, Form, size_of

__all__ = ["AFFINE", "ALIAS", "CROP", "SUM", "Call", "Form", "form", "size_of"]


def form(layer: Layer, bottoms: Sequence[Shape]) -> Form | None:
    """What ``layer`` becomes for bottoms of these shapes; it has been reshaped for them."""
    make = _TABLE.get(type(layer))
    if make is None or any(size_of(s) is None or min(s) <= 0 for s in bottoms):
        return None
    return make(layer, [tuple(shape) for shape in bottoms])


# Element by element -------------------------------------------------------------------------------


def _add_finish(call: Call) -> None:
    call.program.finish(call.xs[0], call.out, call.scale, call.finish)


def _affine(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    if len(bottoms) != 1 or not is_affine_of(layer, bottoms[0][1]) or not has("kernels_finish"):
        return None
    return Form(_add_finish, memory.IN_PLACE, finishes=True, part=AFFINE)


def _act(make: Callable[[Any, list[torch.Tensor]], Act | None]) -> Callable[..., Form | None]:
    """The row of an activation: ``make`` gives it from the layer and its weights; None where the
    settings are others than the kernels know."""

    def row(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
        if make(layer, []) is None or not has("kernels_finish"):
            return None

        def act(weights: list[torch.Tensor]) -> Act:
            return make(layer, weights) or Act()

        return Form(_add_finish, memory.IN_PLACE, finishes=True, part=ACT, act=act)

    return row


def _relu(layer: Any, weights: list[torch.Tensor]) -> Act:
    return Act(program.LEAKY, layer.slope) if layer.slope else Act(program.RELU)


def _relu6(layer: Any, weights: list[torch.Tensor]) -> Act | None:
    return None if layer.slope else Act(program.CLAMP, 0.0, 6.0)


def _clip(layer: Any, weights: list[torch.Tensor]) -> Act | None:
    return Act(program.CLAMP, layer.low, layer.high) if layer.low <= layer.high else None


def _prelu(layer: Any, weights: list[torch.Tensor]) -> Act:
    """Without weights one that only tells that there is one; a single slope is for all channels,
    however many (native_stretch.py widens it)."""
    return Act(program.PRELU, slopes=weights[0].flatten() if weights else None)


def _eltwise(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    if layer.in_place:
        return None
    reads = tuple(range(len(bottoms)))
    plain = layer.operation == layer.SUM and all(c == 1 for c in layer.coeff)
    if plain and len(bottoms) == 2 and has("kernels_finish"):
        return Form(_add_finish, memory.IN_PLACE, reads, finishes=True, part=SUM)
    if not has("kernels_eltwise"):
        return None
    factors = None if layer.operation != layer.SUM or plain else list(layer.coeff)

    def add(call: Call) -> None:
        call.program.eltwise(layer.operation, call.xs, factors, call.out)

    return Form(add, memory.COMPUTE, reads)


# Others -------------------------------------------------------------------------------------------


def _lrn(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    name = "kernels_lrn_across" if layer.across else "kernels_lrn_within"
    if layer.in_place or not has(name):
        return None

    def add(call: Call) -> None:
        x, out = call.xs[0], call.out
        if layer.across:
            call.program.lrn_across(x, out, layer.size, layer.alpha, layer.beta, layer.k)
        else:
            call.program.lrn_within(x, out, layer.size, layer.alpha, layer.beta)

    return Form(add)


def _softmax(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    if layer.class_axis != 1 or not has("kernels_softmax"):
        return None
    return Form(lambda call: call.program.softmax(call.xs[0], call.out))


def _crop(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    shape, reference = bottoms
    if len(shape) != 4 or len(reference) != 4 or not has("kernels_crop"):
        return None
    corner = [0, 0, 0, 0]
    for axis, cut in enumerate(layer.window):
        if cut.start is not None:
            corner[axis] = cut.start
            if axis < 2 and (cut.start, cut.stop) != (0, shape[axis]):
                return None
    top, left = corner[2:]

    def add(call: Call) -> None:
        first = (top, left) if call.place is None else (-p for p in call.place.pad)
        call.program.crop(call.xs[0], call.out, *first)

    moves = Geometry((1, 1), (1, 1), (-top, -left))
    return Form(add, part=CROP, moves=moves, partly=False)


def _concat(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    if layer.join_axis != 1 or len(bottoms) < 2 or not has("kernels_crop"):
        return None
    return Form(None, memory.JOIN, tuple(range(len(bottoms))))


def _slice(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    if layer.cut_axis != 1 or layer.num_tops < 2 or not has("kernels_crop"):
        return None
    return Form(None, memory.CUT)


def _split(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    return Form(None, ALIAS)


def _dropout(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    return None if layer._drops or layer._scale != 1 else Form(None, ALIAS)


def _same_numbers(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    """Flatten and Reshape, where channels last have the same order as channels first."""
    (shape,) = bottoms
    (top,) = layer.reshape(bottoms)
    before, after = size_of(shape), size_of(top)
    if before != after or (tuple(top) != shape and math.prod(shape[2:]) != 1):
        return None
    return Form(None, ALIAS)


_TABLE: dict[type[Layer], Callable[[Any, Sequence[Shape]], Form | None]] = {
    BatchNorm: _affine,
    Bias: _affine,
    Clip: _act(_clip),
    Concat: _concat,
    Convolution: windows.convolution,
    ConvolutionDepthwise: windows.convolution,
    Crop: _crop,
    Deconvolution: windows.deconvolution,
    DepthwiseConvolution: windows.convolution,
    Dropout: _dropout,
    Eltwise: _eltwise,
    Flatten: _same_numbers,
    InnerProduct: windows.inner_product,
    LRN: _lrn,
    PReLU: _act(_prelu),
    Pooling: windows.pooling,
    ReLU: _act(_relu),
    ReLU6: _act(_relu6),
    Reshape: _same_numbers,
    Scale: _affine,
    Sigmoid: _act(lambda layer, weights: Act(program.SIGMOID)),
    Slice: _slice,
    Softmax: _softmax,
    Split: _split,
    TanH: _act(lambda layer, weights: Act(program.TANH)),
}
