"""Convolutions on a GPU, in the precision that :func:`caffe.set_precision` names; in bfloat16 also
on the CPU, in TEST.

    fp32   float32 as it lies
    tf32   float32 in channels-last memory, which the tensor cores take without re-laying it out
    bf16   bfloat16 in channels-last memory; the weights keep a float32 master

Weights are laid out once: their storage keeps the channels-last memory from then on, gradients come
in the same layout, and an update touches both without a copy.

There are several ways to compute the same; :mod:`caffe.kernels.tuning` finds the fastest.  Forward:
cuDNN's convolution, the same with bias and ReLU in one call, or a matrix product over columns where
weights are large and outputs few (FCN's fc6).  Backward: cuDNN's, or matrix products likewise; the
gradient of the bias as a sum, or as a product with ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F

from caffe import kernels
from caffe.arithmetic import deterministic, precision
from caffe.kernels import tuning
from caffe.storage import Storage

__all__ = ["Settings", "backward", "forward", "operand"]

Grads = tuple["torch.Tensor | None", "torch.Tensor | None", "torch.Tensor | None"]
Ways = list[Callable[[], torch.Tensor]]

_fused: Callable[..., torch.Tensor] | None = getattr(torch, "cudnn_convolution_relu", None)
_COLUMNS_LEAST_WEIGHTS = 1 << 20
_COLUMNS_MOST_OUTPUTS = 4096
_COLUMNS_MOST_NUMBERS = 1 << 26  # for a shape that may not come again: 256 MB


class Settings(NamedTuple):
    """In the order in which PyTorch's operators take them."""

    stride: list[int]
    pad: list[int]
    dilation: list[int]
    transposed: bool
    output_pad: list[int]
    group: int


def _name() -> str:
    return precision() if kernels.enabled() else "fp32"


def operand(x: torch.Tensor) -> torch.Tensor:
    """An activation (N, C, H, W) as the precision's convolutions want it."""
    name = _name()
    if name == "fp32" or x.ndim != 4:
        return x if x.dtype == torch.float32 else x.float()
    dtype = torch.bfloat16 if name == "bf16" else torch.float32
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def _weights(weight: torch.Tensor, storage: Storage) -> torch.Tensor:
    """The weights in the layout and type of the precision."""
    name = _name()
    if name == "fp32" or weight.ndim != 4:
        return weight
    if weight.device.type == "cpu":  # where float32 kernels want the weights as they are
        last = torch.channels_last
        return storage.cached("bf16", lambda: weight.to(torch.bfloat16, memory_format=last))
    if not weight.is_contiguous(memory_format=torch.channels_last):
        weight = weight.contiguous(memory_format=torch.channels_last)
        storage.relayout(weight)
    if name == "bf16":
        return storage.cached("bf16", lambda: weight.to(torch.bfloat16))
    return weight


def _case(what: str, x: torch.Tensor, w: torch.Tensor, s: Settings) -> tuple[object, ...]:
    stride, pad, dilation, transposed, _, group = s
    kind = tuple(stride), tuple(pad), tuple(dilation), transposed, group
    return what, x.device, x.dtype, precision(), x.shape, x.stride(), w.shape, w.stride(), kind


def forward(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    storages: Sequence[Storage],
    settings: Settings,
    relu: bool = False,
) -> torch.Tensor:
    """The convolution of x (N, C, H, W), and a ReLU after it on request.

    ``storages`` hold weight and bias, and what is derived from them.
    """
    x = operand(x)
    w = _weights(weight, storages[0])
    b = bias
    if b is not None and b.dtype != x.dtype:
        values = b
        b = storages[1].cached("bf16", lambda: values.to(torch.bfloat16))

    if tuning.is_passing() and _has_columns(x, w, settings):
        return _by_columns(x, w, b, settings, relu)
    ways = _forward_ways(x, w, b, settings, relu)
    if len(ways) == 1:
        return ways[0]()
    return tuning.best(_case(f"forward {relu} {b is None}", x, w, settings), ways, x.device)


def _forward_ways(
    x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, settings: Settings, relu: bool
) -> Ways:
    """The ways to the convolution; the first is the best by rule of thumb."""

    def general() -> torch.Tensor:
        y = torch.convolution(x, w, b, *settings)
        return y.relu_() if relu else y

    def fused() -> torch.Tensor:
        stride, pad, dilation, _, _, group = settings
        return _fused(x, w, b, stride, pad, dilation, group)  # type: ignore[misc]

    def columns() -> torch.Tensor:
        return _by_columns(x, w, b, settings, relu)

    ways: Ways = [general]
    if kernels.enabled() and not settings.transposed and settings.group == 1 and x.ndim == 4:
        if relu and _fused is not None and x.is_cuda and torch.version.cuda:
            # In float32 some large layers are slower in one call.
            small = max(w.shape[2:]) <= 3 and (_name() != "fp32" or x.shape[1] <= 128)
            ways.insert(0 if small else 1, fused)
        if _is_pointwise(x, w, settings):
            ways.insert(0, columns)  # for a new shape cuDNN's plan takes longer than the product
        elif _takes_columns(x, w, settings):
            ways.append(columns)
    return ways


def backward(
    dy: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    storages: Sequence[Storage],
    settings: Settings,
    mask: Sequence[bool],
    outputs: int,
) -> Grads:
    """The gradients of x, weights and bias, those that ``mask`` asks for; the last two float32."""
    x, dy = operand(x), operand(dy)
    w = _weights(weight, storages[0])
    grads: list[torch.Tensor | None] = [None, None, None]
    alone = deterministic() or not kernels.enabled() or x.ndim != 4 or not x.is_cuda
    if alone:
        grads = list(_general_backward(dy, x, w, settings, mask, outputs))
    else:
        for i, ways in enumerate(_backward_ways(dy, x, w, settings, outputs)):
            if mask[i]:
                case = _case(f"gradient {i}", x, w, settings) + (dy.stride(),)
                grads[i] = tuning.best(case, ways, x.device)
    dx, dw, db = grads
    return dx, None if dw is None else dw.float(), None if db is None else db.float()


def _general_backward(
    dy: torch.Tensor,
    x: torch.Tensor,
    w: torch.Tensor,
    settings: Settings,
    mask: Sequence[bool],
    outputs: int,
) -> Grads:
    operator = torch.ops.aten.convolution_backward
    dx, dw, db = operator(dy, x, w, [outputs], *settings, list(mask))
    return dx, dw, db


def _backward_ways(
    dy: torch.Tensor, x: torch.Tensor, w: torch.Tensor, settings: Settings, outputs: int
) -> list[Ways]:
    """The ways to the gradients of x, weights and bias."""

    def general(i: int) -> Callable[[], torch.Tensor]:
        mask = [i == k for k in range(3)]
        return lambda: _general_backward(dy, x, w, settings, mask, outputs)[i]  # type: ignore[return-value]

    def rows() -> torch.Tensor:  # of dy: one for each position
        return dy.permute(0, 2, 3, 1).reshape(-1, outputs)

    def product_with_ones() -> torch.Tensor:
        positions = rows()
        return positions.new_ones(1, len(positions)).mm(positions).view(outputs)

    ways: list[Ways] = [[general(i)] for i in range(3)]
    if dy.is_contiguous(memory_format=torch.channels_last):
        ways[2].append(product_with_ones)
    if _takes_columns(x, w, settings) or _is_pointwise(x, w, settings):
        ways[0].append(lambda: _from_columns(rows() @ _matrix(w), x, w, settings))
        ways[1].append(lambda: _as_weights(rows().t() @ _columns(x, w, settings), w))
        if x.dtype == torch.bfloat16 and hasattr(torch.ops.aten.mm, "dtype"):
            # The gradient in float32, which the update wants, at once; on NVIDIA's GPUs alone.
            wide = torch.ops.aten.mm.dtype
            ways[1].append(
                lambda: _as_weights(wide(rows().t(), _columns(x, w, settings), torch.float32), w)
            )
    return ways


# Columns ------------------------------------------------------------------------------------------


def _by_columns(
    x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, settings: Settings, relu: bool
) -> torch.Tensor:
    rows, matrix = _columns(x, w, settings), _matrix(w)
    y = rows @ matrix.t() if b is None else torch.addmm(b, rows, matrix.t())
    y = y.relu_() if relu else y
    return y.view(x.shape[0], *_sizes(x, w, settings), len(w)).permute(0, 3, 1, 2)


def _has_columns(x: torch.Tensor, w: torch.Tensor, s: Settings) -> bool:
    """Whether the columns exist and take little memory.  cuDNN plans a convolution anew for each
    shape, which takes it longer than such a product."""
    if not kernels.enabled() or s.transposed or s.group != 1 or x.ndim != 4:
        return False
    height, width = _sizes(x, w, s)
    return x.shape[0] * height * width * w[0].numel() <= _COLUMNS_MOST_NUMBERS


def _takes_columns(x: torch.Tensor, w: torch.Tensor, s: Settings) -> bool:
    """Whether the weights are large and the outputs few, and nothing is dilated or grouped."""
    if s.transposed or s.group != 1 or x.ndim != 4 or list(s.dilation) != [1, 1]:
        return False
    height, width = _sizes(x, w, s)
    few = x.shape[0] * height * width <= _COLUMNS_MOST_OUTPUTS
    return few and w.numel() >= _COLUMNS_LEAST_WEIGHTS


def _is_pointwise(x: torch.Tensor, w: torch.Tensor, s: Settings) -> bool:
    """Whether the columns are the positions of ``x`` as they lie: 1×1 and channels-last."""
    if s.transposed or s.group != 1 or x.ndim != 4 or tuple(w.shape[2:]) != (1, 1):
        return False
    plain = list(s.stride) == [1, 1] and not any(s.pad)
    return plain and x.is_contiguous(memory_format=torch.channels_last)


def _sizes(x: torch.Tensor, w: torch.Tensor, s: Settings) -> tuple[int, int]:
    """Height and width of the output."""
    height, width = (
        (n + 2 * p - e) // d + 1 for n, p, e, d in zip(x.shape[2:], s.pad, _extents(w, s), s.stride)
    )
    return height, width


def _extents(w: torch.Tensor, s: Settings) -> list[int]:
    """How far a kernel reaches, with its holes."""
    return [d * (k - 1) + 1 for k, d in zip(w.shape[2:], s.dilation)]


def _is_last(w: torch.Tensor) -> bool:
    """Whether weights lie (O, kh, kw, C) in memory."""
    return not w.is_contiguous() and w.is_contiguous(memory_format=torch.channels_last)


def _matrix(w: torch.Tensor) -> torch.Tensor:
    """The weights as (O, K), a view: K runs over C, kh, kw, or kh, kw, C as they lie."""
    return (w.permute(0, 2, 3, 1) if _is_last(w) else w).reshape(len(w), -1)


def _as_weights(matrix: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """The reverse of :func:`_matrix` for a gradient."""
    o, c, kh, kw = w.shape
    if _is_last(w):
        return matrix.view(o, kh, kw, c).permute(0, 3, 1, 2)
    return matrix.view(o, c, kh, kw)


def _columns(x: torch.Tensor, w: torch.Tensor, s: Settings) -> torch.Tensor:
    """(N H' W', K): what each output is the product of."""
    kh, kw = _extents(w, s)
    if any(s.pad):
        x = F.pad(x, (s.pad[1], s.pad[1], s.pad[0], s.pad[0]))
    windows = x.unfold(2, kh, s.stride[0]).unfold(3, kw, s.stride[1])  # N, C, H', W', kh, kw
    windows = windows[..., :: s.dilation[0], :: s.dilation[1]]
    order = (0, 2, 3, 4, 5, 1) if _is_last(w) else (0, 2, 3, 1, 4, 5)
    return windows.permute(order).reshape(-1, w[0].numel())


def _from_columns(
    rows: torch.Tensor, x: torch.Tensor, w: torch.Tensor, s: Settings
) -> torch.Tensor:
    """The adjoint of :func:`_columns`, in the layout of ``x``."""
    n, (kh, kw) = x.shape[0], w.shape[2:]
    if _is_last(w):
        rows = rows.view(len(rows), kh, kw, -1).permute(0, 3, 1, 2).reshape(len(rows), -1)
    columns = rows.view(n, len(rows) // n, -1).transpose(1, 2)
    pad, stride = tuple(s.pad), tuple(s.stride)
    dx = F.fold(columns, tuple(x.shape[2:]), (kh, kw), padding=pad, stride=stride)
    last = x.is_contiguous(memory_format=torch.channels_last)
    return dx.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
