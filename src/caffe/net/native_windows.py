"""The forms of layers with a kernel that moves over the image, or is as large (native_forms.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from caffe.kernels import winograd
from caffe.kernels.upsampling import diagonal
from caffe.layer import Shape
from caffe.native.parts import Geometry
from caffe.native.program import Finish, Map, Window, has
from caffe.net.native_forms import Call, Form, with_bias

__all__ = ["convolution", "deconvolution", "inner_product", "pooling"]

_MOST_PRODUCT_WEIGHTS = 1 << 21  # more are read where they lie
_MOST_CONVOLUTION_WEIGHTS = 1 << 23
_FEW = 4  # images of a matrix product whose time is that of reading its weights


def _window(layer: Any, groups: int = 1) -> Window:
    dilation = getattr(layer, "dilation", (1, 1))
    return Window(*layer.kernel, *layer.stride, *layer.pad, *dilation, groups)


def _plane(layer: Any, bottoms: Sequence[Shape]) -> bool:
    """Whether a Convolution or Deconvolution is one over images, with weights."""
    if layer.spatial_axes != 2 or layer.channel_axis != 1 or len(bottoms) != 1:
        return False
    return len(layer.blobs) > 0 and not layer.in_place and not any(layer._overhang(bottoms[0][2:]))


def convolution(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    if not _plane(layer, bottoms):
        return None
    if layer.group > 1 and layer.group == layer.channels == layer.num_output:
        if not has("kernels_depthwise"):
            return None

        def add_depthwise(call: Call) -> None:
            window = _window(layer)
            call.program.depthwise(call.xs[0], call.out, window, call.weights[0], with_bias(call))

        return Form(add_depthwise, finishes=True, outputs=0)
    refers = layer.blobs[0].count > _MOST_CONVOLUTION_WEIGHTS
    if _covers(layer, bottoms[0]) and has("kernels_inner_product"):

        def add_product(call: Call) -> None:
            call.program.inner_product(call.xs[0], call.out, call.weights[0], with_bias(call))

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
            call.program.convolution_part(*maps, window, weight, with_bias(call))
        else:
            call.program.convolution(*maps, window, weight, with_bias(call), refers)

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
    weight, (bias, other, act) = call.weights[0], with_bias(call)
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


def deconvolution(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    if not _plane(layer, bottoms):
        return None
    by_channel, general = "kernels_deconvolution_by_channel", "kernels_deconvolution"
    if layer.group > 1 and layer.group == layer.channels == layer.num_output:
        if not has(by_channel):
            return None

        def add_by_channel(call: Call) -> None:
            window = _cropped(_window(layer), call)
            call.program.deconvolution_by_channel(
                call.xs[0], call.out, window, call.weights[0], with_bias(call)
            )

        return Form(add_by_channel, finishes=True, outputs=0, crops=True)
    if not has(general):
        return None

    def add(call: Call) -> None:
        weight, finish = call.weights[0], with_bias(call)
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


def pooling(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
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


def inner_product(layer: Any, bottoms: Sequence[Shape]) -> Form | None:
    n, *image = bottoms[0]
    few = n <= _FEW and has("kernels_inner_product")
    if layer.first != 1 or not (few or has("kernels_convolution")):
        return None
    refers = layer.blobs[0].count > _MOST_PRODUCT_WEIGHTS
    if layer.transpose and refers:
        return None

    def add(call: Call) -> None:
        weight, finish = call.weights[0], with_bias(call)
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
