"""What the native kernels compute of each layer type: a table of :class:`Form` makers.

A form is made from a layer's settings and the shapes of its bottoms, before its weights are known;
it tells which operation of a program the layer becomes.  Layers that only pass numbers on (Split,
Dropout in TEST) become none.  A layer type without a row, or settings that a row refuses, have no
native form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch

from caffe.kernels import winograd
from caffe.kernels.upsampling import diagonal
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
from caffe.native.memory import Size
from caffe.native.parts import Geometry, Place
from caffe.native.program import Act, Finish, Map, Program, Window, has

__all__ = ["AFFINE", "ALIAS", "CROP", "SUM", "Call", "Form", "form", "size_of"]

ALIAS = "alias"  # beside the kinds of memory.py: the tops are the first bottom
AFFINE, SUM, ACT = "affine", "sum", "act"  # parts of a finish
CROP = "crop"  # part of an operation that can begin anywhere in its result

_MOST_PRODUCT_WEIGHTS = 1 << 21  # more are read where they lie
_MOST_CONVOLUTION_WEIGHTS = 1 << 23
_FEW = 4  # images of a matrix product whose time is that of reading its weights


class Call(NamedTuple):
    """What an operation is added with."""

    program: Program
    xs: list[Map]
    out: Map
    weights: list[torch.Tensor]
    scale: torch.Tensor | None  # of a form that takes it; for others it is in the weights
    finish: Finish
    place: Place | None = None  # of the maps, where they are parts; for a form that moves
    crop: tuple[int, int] = (0, 0)  # rows and columns before the result; for a form that crops


class Form(NamedTuple):
    """What a layer becomes.

    Attributes:
        add: adds the operation; None where the kind (:data:`ALIAS`, JOIN, CUT) says it all.
        kind: how bottoms and tops may share memory, see ``memory.Use``.
        reads: which of the bottoms are read, by their places.
        finishes: whether the operation takes a finish.
        outputs: the axis of the weights that counts the channels of the top, where a factor by
            channel can be multiplied into them; None where not.
        refers: whether the first weights are read where they lie in each run.
        part: for a layer that can be part of the finish of what is before it, which; an
            :data:`AFFINE` one is known by its layer, an :data:`ACT` by ``act``.
        act: from the weights.
        moves: how its kernel does, where a part of the bottom is enough for a part of the top.
        partly: whether the operation can compute that part.
        crops: whether the operation can leave out what a Crop of its result does.
    """

    add: Callable[[Call], None] | None
    kind: str = memory.COMPUTE
    reads: tuple[int, ...] = (0,)
    finishes: bool = False
    outputs: int | None = None
    refers: bool = False
    part: str = ""
    act: Callable[[list[torch.Tensor]], Act] | None = None
    moves: Geometry | None = None
    partly: bool = True
    crops: bool = False


def size_of(shape: Shape) -> Size | None:
    """The map of a blob (N, C, H, W) or (N, C)."""
    if len(shape) == 2:
        return shape[0], 1, 1, shape[1]
    return (shape[0], shape[2], shape[3], shape[1]) if len(shape) == 4 else None


def form(layer: Layer, bottoms: Sequence[Shape]) -> Form | None:
    """What ``layer`` becomes for bottoms of these shapes; it has been reshaped for them."""
    make = _TABLE.get(type(layer))
    if make is None or any(size_of(s) is None or min(s) <= 0 for s in bottoms):
        return None
    return make(layer, [tuple(shape) for shape in bottoms])


# Layers with a kernel that moves over the image --------------------------------------------------


def _window(layer: Any, groups: int = 1) -> Window:
    dilation = getattr(layer, "dilation", (1, 1))
    return Window(*layer.kernel, *layer.stride, *layer.pad, *dilation, groups)


def _bias(call: Call, place: int = 1) -> Finish:
    """The finish with the layer's own bias in it, unless it has one that knows of it."""
    if call.finish.bias is None and len(call.weights) > place:
        return call.finish._replace(bias=call.weights[place])
    return call.finish


def _plane(layer: Any, bottoms: Sequence[Shape]) -> bool:
    """Whether a Convolution or Deconvolution is one over images, with weights."""
    if layer.spatial_axes != 2 or layer.channel_axis != 1 or len(bottoms) != 1:
        return False
    return len(layer.blobs) > 0 and not layer.in_place and not any(layer._overhang(bottoms[0][2:]))


def _convolution(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    if not _plane(layer, bottoms):
        return None
    if layer.group > 1 and layer.group == layer.channels == layer.num_output:
        if not has("kernels_depthwise"):
            return None

        def add_depthwise(call: Call) -> None:
            window = _window(layer)
            call.program.depthwise(call.xs[0], call.out, window, call.weights[0], _bias(call))

        return Form(add_depthwise, finishes=True, outputs=0)
    refers = layer.blobs[0].count > _MOST_CONVOLUTION_WEIGHTS
    if _covers(layer, bottoms[0]) and has("kernels_inner_product"):

        def add_product(call: Call) -> None:
            call.program.inner_product(call.xs[0], call.out, call.weights[0], _bias(call))

        outputs = None if refers else 0
        return Form(add_product, finishes=True, outputs=outputs, refers=refers)
    if not refers and has("kernels_winograd") and _gains_by_winograd(layer, bottoms[0]):

        def add_winograd(call: Call) -> None:
            pad = (layer.pad[0], layer.pad[1]) if call.place is None else call.place.pad
            computed = None if call.place is None else call.place.computed
            for x, out, weight, finish in _groups(call, layer.group):
                u = winograd.transform_weights(weight, passing=True)
                call.program.winograd(x, out, u, finish, pad, computed)

        return Form(add_winograd, finishes=True, outputs=0, moves=Geometry.of(layer))
    if not has("kernels_convolution"):
        return None

    def add(call: Call) -> None:
        window = _window(layer, layer.group)
        maps, weight = (call.xs[0], call.out), call.weights[0]
        if call.place is not None:
            window.pad_h, window.pad_w = call.place.pad
            call.program.convolution_part(*maps, window, weight, _bias(call))
        else:
            call.program.convolution(*maps, window, weight, _bias(call), refers)

    moves = None if refers else Geometry.of(layer)
    outputs = None if refers else 0
    return Form(add, finishes=True, outputs=outputs, refers=refers, moves=moves)


def _gains_by_winograd(layer: Any, bottom: Shape) -> bool:
    """Whether Winograd's way is faster than the direct one."""
    if list(layer.kernel) != [3, 3] or list(layer.stride) != [1, 1]:
        return False
    if list(layer.dilation) != [1, 1]:
        return False
    top = (n + 2 * pad - 2 for n, pad in zip(bottom[2:], layer.pad))
    channels = layer.channels // layer.group, layer.num_output // layer.group
    return winograd.applies_in_program(*channels, *top)


def _groups(call: Call, count: int) -> Iterator[tuple[Map, Map, torch.Tensor, Finish]]:
    """The bottom, top, weights and finish of each group of a convolution, slices of the whole."""
    weight, (bias, other, act) = call.weights[0], _bias(call)
    outputs = len(weight) // count
    for i in range(count):
        mine = slice(i * outputs, (i + 1) * outputs)
        part = act if act.slopes is None else act._replace(slopes=act.slopes[mine])
        finish = Finish(
            None if bias is None else bias[mine],
            None if other is None else _slice_of(other, i, count),
            part,
        )
        x, out = (_slice_of(m, i, count) for m in (call.xs[0], call.out))
        yield x, out, weight[mine], finish


def _slice_of(m: Map, i: int, count: int) -> Map:
    c = m.c // count
    return Map(m.at + 4 * c * i, m.n, m.h, m.w, c, m.pixel)


def _covers(layer: Any, bottom: Shape) -> bool:
    """Whether the kernel covers the whole image, of few: a matrix product."""
    if bottom[0] > _FEW or layer.group != 1 or any(layer.pad):
        return False
    return list(layer.kernel) == list(bottom[2:]) and list(layer.dilation) == [1, 1]


def _deconvolution(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    if not _plane(layer, bottoms):
        return None
    by_channel, general = "kernels_deconvolution_by_channel", "kernels_deconvolution"
    if layer.group > 1 and layer.group == layer.channels == layer.num_output:
        if not has(by_channel):
            return None

        def add_by_channel(call: Call) -> None:
            window = _cropped(_window(layer), call)
            call.program.deconvolution_by_channel(
                call.xs[0], call.out, window, call.weights[0], _bias(call)
            )

        return Form(add_by_channel, finishes=True, outputs=0, crops=True)
    if not has(general):
        return None

    def add(call: Call) -> None:
        weight, finish = call.weights[0], _bias(call)
        own = None
        if layer.group == 1 and has(by_channel):
            own = diagonal(weight, layer.blobs[0].data_storage)
        if own is not None:  # as FCN's bilinear upsampling
            window = _cropped(_window(layer), call)
            call.program.deconvolution_by_channel(call.xs[0], call.out, window, own, finish)
        else:
            window = _cropped(_window(layer, layer.group), call)
            call.program.deconvolution(call.xs[0], call.out, window, weight, finish)

    # A factor in the weights would hide from diagonal() which blob they are from.
    return Form(add, finishes=True, crops=True)


def _cropped(window: Window, call: Call) -> Window:
    """A Crop of a Deconvolution is a pad of as much more."""
    window.pad_h += call.crop[0]
    window.pad_w += call.crop[1]
    return window


def _pooling(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    name = "kernels_max_pool" if layer.max else "kernels_average_pool"
    if layer.stochastic or layer.num_tops != 1 or not layer.all_see_image or not has(name):
        return None

    def add(call: Call) -> None:
        pool, window = call.program.max_pool, _window(layer)
        if call.place is not None:
            window.pad_h, window.pad_w = call.place.pad
        elif not layer.max:
            pool = call.program.average_pool
        pool(call.xs[0], call.out, window)

    return Form(add, moves=Geometry.of(layer) if layer.max else None)


def _inner_product(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    n, *image = bottoms[0]
    few = n <= _FEW and has("kernels_inner_product")
    if layer.first != 1 or not (few or has("kernels_convolution")):
        return None
    refers = layer.blobs[0].count > _MOST_PRODUCT_WEIGHTS
    if layer.transpose and refers:
        return None

    def add(call: Call) -> None:
        weight, finish = call.weights[0], _bias(call)
        weight = weight.t().contiguous() if layer.transpose else weight
        if few:
            call.program.inner_product(call.xs[0], call.out, weight, finish)
            return
        c, h, w = (*image, 1, 1)[:3]
        window = Window(h, w, 1, 1, 0, 0, 1, 1, 1)
        weight = weight.view(-1, c, h, w)
        call.program.convolution(call.xs[0], call.out, window, weight, finish, refers)

    outputs = None if refers else int(layer.transpose)
    return Form(add, finishes=True, outputs=outputs, refers=refers)


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
    Convolution: _convolution,
    ConvolutionDepthwise: _convolution,
    Crop: _crop,
    Deconvolution: _deconvolution,
    DepthwiseConvolution: _convolution,
    Dropout: _dropout,
    Eltwise: _eltwise,
    Flatten: _same_numbers,
    InnerProduct: _inner_product,
    LRN: _lrn,
    PReLU: _act(_prelu),
    Pooling: _pooling,
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
