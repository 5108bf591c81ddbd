"""Which way to compute a 2-D convolution on the CPU, and the ways themselves.

    winograd   3x3, stride 1, pad 1, images and channels large enough (kernels/winograd.py)
    columns    large weights and few outputs (FCN's fc6): a matrix product with the weights as
               they lie in memory; the general operator re-lays-out all of them in every call
    pointwise  1x1: a matrix product over the channels
    general    PyTorch's operator

Every way takes x (N, C, H, W) in any memory format and Caffe's weights (O, C, kh, kw), and gives
float32 results equal to the general one's to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F

from caffe import kernels
from caffe.kernels import winograd
from caffe.kernels.window import Block
from caffe.storage import Storage

__all__ = [
    "BLOCKWISE",
    "Geometry",
    "backward",
    "choose",
    "diagonal",
    "forward",
    "is_channels_last",
]

BLOCKWISE = ("winograd", "general")  # the ways that can compute a part of the output

_COLUMNS_LEAST_WEIGHTS = 1 << 20
_COLUMNS_MOST_OUTPUTS = 1024
_CHANNELS_LAST_LEAST_OUTPUT = 16

Grads = tuple["torch.Tensor | None", "torch.Tensor | None", "torch.Tensor | None"]


class Geometry(NamedTuple):
    """What decides: the settings of the convolution and the shapes of this call."""

    kernel: Sequence[int]
    stride: Sequence[int]
    pad: Sequence[int]
    dilation: Sequence[int]
    group: int
    bottom: Sequence[int]  # N, C, H, W
    top: Sequence[int]


def choose(g: Geometry, weight: torch.Tensor) -> str:
    """The fastest way for this geometry, "general" where none of the others applies."""
    simple = list(g.dilation) == [1, 1] and g.group == 1
    if not kernels.enabled() or not simple:
        return "general"
    unit = list(g.stride) == [1, 1]
    if list(g.kernel) == [1, 1] and unit and not any(g.pad):
        return "pointwise"
    if list(g.kernel) == [3, 3] and unit and list(g.pad) == [1, 1]:
        if winograd.applies(weight, g.top[2], g.top[3]):
            return "winograd"
    outputs = g.top[0] * g.top[2] * g.top[3]
    if weight.numel() >= _COLUMNS_LEAST_WEIGHTS and outputs <= _COLUMNS_MOST_OUTPUTS:
        return "columns"
    return "general"


def forward(
    way: str,
    g: Geometry,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    storage: Storage,
    relu: bool = False,
    out: torch.Tensor | None = None,
    blocks: Sequence[Block] | None = None,
) -> torch.Tensor:
    """The convolution, with a ReLU after it on request.

    ``storage`` holds the weights and what is derived from them.  ``out`` is memory of the shape
    ``g.top`` that may be written and returned.  With ``blocks`` (ways in :data:`BLOCKWISE`) those
    blocks of the output are computed, one by one; a block's values do not depend on which others
    are asked for.  The rest of the result is ``out``'s, or undefined.
    """
    if way == "winograd" or blocks is not None:
        if out is None or not out.is_contiguous(memory_format=torch.channels_last):
            out = _nchw(torch.empty(g.top[0], g.top[2], g.top[3], g.top[1]))
        if blocks is not None and way != "winograd":
            for block in blocks:
                _general_block(g, x, weight, bias, relu, out, block)
            return out
        u = storage.cached("winograd", lambda: winograd.transform_weights(weight))
        for image, y in zip(_nhwc(x), _nhwc(out)):
            for part in blocks or (None,):
                winograd.forward(image, u, bias, y, relu, part)
        return out
    y = _whole(way, g, x, weight, bias)
    return y.relu_() if relu else y


def _whole(
    way: str, g: Geometry, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """The convolution in new memory, by the ways that know no blocks, or generally."""
    if way == "pointwise":
        if is_channels_last(x):
            return _nchw(F.linear(_nhwc(x), weight.flatten(1), bias))
        y = torch.matmul(weight.flatten(1), x.contiguous().flatten(2))
        if bias is not None:
            y += bias[:, None]
        return y.view(*g.top)
    if way == "columns":
        y = torch.mm(weight.flatten(1), _columns(g, x))
        if bias is not None:
            y += bias[:, None]
        n, o, h, w = g.top
        return y.view(o, n, h, w).transpose(0, 1).contiguous()
    return torch.convolution(_general_layout(g, x), weight, bias, *_settings(g))


def _general_layout(g: Geometry, x: torch.Tensor) -> torch.Tensor:
    """``x`` in the memory layout that PyTorch's operator is fastest with."""
    if kernels.enabled() and g.group == 1 and g.top[1] >= _CHANNELS_LAST_LEAST_OUTPUT:
        return x.contiguous(memory_format=torch.channels_last)
    return x


def _general_block(
    g: Geometry,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    relu: bool,
    y: torch.Tensor,
    block: Block,
) -> None:
    """Write one block of the convolution into ``y``, from the part of ``x`` that it sees."""
    part = _general_layout(g, x)
    pads: list[int] = []  # zeros around the part, in the order of F.pad
    for axis in (1, 0):
        first, end = block[2 * axis : 2 * axis + 2]
        lo = first * g.stride[axis] - g.pad[axis]
        hi = (end - 1) * g.stride[axis] - g.pad[axis] + g.dilation[axis] * (g.kernel[axis] - 1) + 1
        size = x.shape[2 + axis]
        begin = min(max(lo, 0), size)
        stop = max(min(hi, size), begin)
        part = part.narrow(2 + axis, begin, stop - begin)
        before = min(max(-lo, 0), hi - lo - (stop - begin))
        pads += [before, hi - lo - (stop - begin) - before]
    part = F.pad(part, pads) if any(pads) else part
    settings = list(g.stride), [0, 0], list(g.dilation), False, [0, 0], g.group
    result = torch.convolution(_general_layout(g, part), weight, bias, *settings)
    r0, r1, c0, c1 = block
    target = y[:, :, r0:r1, c0:c1]
    if relu:
        torch.clamp_min(result, 0, out=target)
    else:
        target.copy_(result)


def backward(
    way: str,
    g: Geometry,
    dy: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    mask: Sequence[bool],
    storage: Storage,
) -> Grads:
    """The gradients of x, weights and bias, those that ``mask`` asks for."""
    dx = dw = None
    if way == "pointwise":
        matrix = weight.flatten(1)
        if is_channels_last(x):
            rows = _nhwc(dy).flatten(0, 2)
            if mask[0]:
                dx = _nchw(torch.mm(rows, matrix).view(_nhwc(x).shape))
            if mask[1]:
                dw = torch.mm(rows.t(), _nhwc(x).flatten(0, 2))
        else:
            planes = dy.contiguous().flatten(2)
            if mask[0]:
                dx = torch.matmul(matrix.t(), planes).view(x.shape)
            if mask[1]:
                each = torch.matmul(planes, x.contiguous().flatten(2).transpose(1, 2))
                dw = each[0] if len(each) == 1 else each.sum(0)
    elif way == "columns":
        rows = dy.transpose(0, 1).reshape(g.top[1], -1)  # (O, N H W)
        if mask[1]:
            dw = torch.mm(rows, _columns(g, x).t())
        if mask[0]:
            dx = _from_columns(g, torch.mm(weight.flatten(1).t(), rows))
    elif way == "winograd":
        u = storage.cached("winograd", lambda: winograd.transform_weights(weight))
        images, diffs = _nhwc(x), _nhwc(dy)
        dx_images = torch.empty_like(images) if mask[0] else None
        dw = torch.zeros(weight.shape) if mask[1] else None
        if mask[0] or mask[1]:
            for i in range(len(images)):
                out = None if dx_images is None else dx_images[i]
                winograd.backward(images[i], u, diffs[i], out, dw)
        dx = None if dx_images is None else _nchw(dx_images)
    else:
        if kernels.enabled():  # PyTorch's backward is 2 to 4 times slower in channels-last
            dy, x = dy.contiguous(), x.contiguous()
        return torch.ops.aten.convolution_backward(
            dy, x, weight, [g.top[1]], *_settings(g), list(mask)
        )
    db = dy.sum((0, 2, 3)) if mask[2] else None
    return dx, None if dw is None else dw.view(weight.shape), db


def diagonal(weight: torch.Tensor, storage: Storage) -> torch.Tensor | None:
    """The (C, 1, kh, kw) kernels of a (C, C, kh, kw) deconvolution that mixes no channels.

    None where it does mix them.  FCN's upsampling is of this kind; run with a group for each
    channel it takes a C-th of the work, and the terms left out are exact zeros.
    """
    if not kernels.enabled() or weight.ndim != 4 or weight.shape[0] != weight.shape[1]:
        return None
    if len(weight) == 1:
        return None

    def extract() -> torch.Tensor | None:
        kernels_ = torch.diagonal(weight, dim1=0, dim2=1).permute(2, 0, 1).unsqueeze(1)
        same = torch.count_nonzero(weight) == torch.count_nonzero(kernels_)
        return kernels_.contiguous() if same else None

    return storage.cached("diagonal", extract)


def _settings(g: Geometry) -> tuple:
    return list(g.stride), list(g.pad), list(g.dilation), False, [0, 0], g.group


def is_channels_last(x: torch.Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _nhwc(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) in any memory format -> contiguous (N, H, W, C), copied only if need be."""
    return x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)


def _nchw(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 3, 1, 2)


def _columns(g: Geometry, x: torch.Tensor) -> torch.Tensor:
    """(C kh kw, N H' W'): what each output is the product of, as columns."""
    if any(g.pad):
        x = F.pad(x, (g.pad[1], g.pad[1], g.pad[0], g.pad[0]))
    windows = x.unfold(2, g.kernel[0], g.stride[0]).unfold(3, g.kernel[1], g.stride[1])
    return windows.permute(1, 4, 5, 0, 2, 3).reshape(-1, g.top[0] * g.top[2] * g.top[3])


def _from_columns(g: Geometry, columns: torch.Tensor) -> torch.Tensor:
    """The adjoint of :func:`_columns`."""
    n = g.bottom[0]
    columns = columns.view(len(columns), n, -1).transpose(0, 1)
    return F.fold(
        columns, tuple(g.bottom[2:]), tuple(g.kernel), padding=tuple(g.pad), stride=tuple(g.stride)
    )
