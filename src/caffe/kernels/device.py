"""Convolutions on a GPU, in the precision that :func:`caffe.set_precision` names; in bfloat16 also
on the CPU, in TEST.

    fp32   float32 as it lies
    tf32   float32 in channels-last memory, which the tensor cores take without re-laying it out
    bf16   bfloat16 in channels-last memory; the weights keep a float32 master

Weights are laid out once: their storage keeps the channels-last memory from then on, gradients come
in the same layout, and an update touches both without a copy.

There are several ways to compute the same; :mod:`caffe.kernels.tuning` finds the fastest.  Forward:
cuDNN's convolution, the same with bias and ReLU in one call, or a matrix product over columns
(:mod:`caffe.kernels.columns`) where weights are large and outputs few (FCN's fc6), for transposed
ones, or where cuDNN has no plan yet.  Backward: cuDNN's, or matrix products likewise; the gradient
of the bias as one sum or two, or as a product with ones.  Where cuDNN's gradient of the weights
would lose digits, products alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from caffe import kernels
from caffe.arithmetic import deterministic, precision
from caffe.kernels import columns, tuning
from caffe.kernels.columns import Settings
from caffe.storage import Storage

__all__ = ["Settings", "backward", "forward", "operand"]

Grads = tuple["torch.Tensor | None", "torch.Tensor | None", "torch.Tensor | None"]
Ways = list[Callable[[], torch.Tensor]]

_fused: Callable[..., torch.Tensor] | None = getattr(torch, "cudnn_convolution_relu", None)
_COLUMNS_LEAST_WEIGHTS = 1 << 20
_COLUMNS_MOST_OUTPUTS = 4096
_COLUMNS_MOST_NUMBERS = 1 << 26  # for a shape that may not come again: 256 MB


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
        by_columns = columns.transposed if settings.transposed else columns.product
        return by_columns(x, w, b, settings, relu)
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

    def by_columns() -> torch.Tensor:
        return columns.product(x, w, b, settings, relu)

    ways: Ways = [general]
    if settings.transposed and _has_columns(x, w, settings):
        ways.append(lambda: columns.transposed(x, w, b, settings, relu))
    if kernels.enabled() and not settings.transposed and settings.group == 1 and x.ndim == 4:
        if relu and _fused is not None and x.is_cuda and torch.version.cuda:
            # In float32 some large layers are slower in one call.
            small = max(w.shape[2:]) <= 3 and (_name() != "fp32" or x.shape[1] <= 128)
            ways.insert(0 if small else 1, fused)
        if _is_pointwise(x, w, settings):
            ways.insert(0, by_columns)  # for a new shape cuDNN's plan takes longer than the product
        elif _takes_columns(x, w, settings):
            ways.append(by_columns)
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
        accurate = mask[1] and _loses_digits(x, w, settings)
        wanted = [mask[0], mask[1] and not accurate, mask[2]]
        grads = list(_general_backward(dy, x, w, settings, wanted, outputs))
        if accurate:
            grads[1] = columns.weight_gradient(dy, x, w, settings)
    else:
        for i, ways in enumerate(_backward_ways(dy, x, w, settings, outputs)):
            if mask[i]:
                if i > 0:  # the time that it takes to make it float32 counts
                    ways = [_in_float32(way) for way in ways]
                case = _case(f"gradient {i}", x, w, settings) + (dy.stride(),)
                grads[i] = tuning.best(case, ways, x.device) if len(ways) > 1 else ways[0]()
    dx, dw, db = grads
    return dx, None if dw is None else dw.float(), None if db is None else db.float()


def _in_float32(way: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    return lambda: way().float()


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

    def product_with_ones(lines: int) -> torch.Tensor:
        positions = rows()  # more than one line of ones: tiles that tensor cores have
        return positions.new_ones(lines, len(positions)).mm(positions)[0]

    def sums_of_rows() -> torch.Tensor:
        # PyTorch's sum over all positions at once takes several times as long as its bytes do: 0.5
        # ms of a step of FCN-8s in bf16 on an H200.
        wide = torch.promote_types(dy.dtype, torch.float32)
        return dy.sum(3, dtype=wide).sum((0, 2))

    def weight_gradient() -> torch.Tensor:
        return columns.weight_gradient(dy, x, w, settings)

    ways: list[Ways] = [[general(i)] for i in range(3)]
    ways[2].append(sums_of_rows)
    if dy.is_contiguous(memory_format=torch.channels_last):
        ways[2] += [lambda: product_with_ones(1), lambda: product_with_ones(8)]
    if settings.transposed and _has_columns(x, w, settings):
        plain = settings._replace(transposed=False)  # the gradient of x is a convolution of dy
        ways[0].append(lambda: columns.product(dy, w, None, plain, False))
        ways[1].append(weight_gradient)
    if _loses_digits(x, w, settings):
        ways[1] = [weight_gradient]
    if _takes_columns(x, w, settings) or _is_pointwise(x, w, settings):
        weights = columns.matrix(w)
        ways[0].append(lambda: columns.from_rows(rows() @ weights, x, w, settings))
        ways[1].append(lambda: columns.as_weights(rows().t() @ columns.rows(x, w, settings), w))
        if x.dtype == torch.bfloat16 and hasattr(torch.ops.aten.mm, "dtype"):
            # The gradient in float32, which the update wants, at once; on NVIDIA's GPUs alone.
            wide = torch.ops.aten.mm.dtype

            def wide_product() -> torch.Tensor:
                seen = columns.rows(x, w, settings)
                return columns.as_weights(wide(rows().t(), seen, torch.float32), w)

            ways[1].append(wide_product)
    return ways


# Which ways there are -----------------------------------------------------------------------------


def _has_columns(x: torch.Tensor, w: torch.Tensor, s: Settings) -> bool:
    """Whether the columns exist and take little memory.  cuDNN plans a convolution anew for each
    shape, which takes it longer than such a product."""
    if not kernels.enabled() or x.ndim != 4 or columns.numbers(x, w, s) > _COLUMNS_MOST_NUMBERS:
        return False
    return s.transposed or s.group == 1 or w.shape[1] > 1  # PyTorch's depthwise has no plan


def _takes_columns(x: torch.Tensor, w: torch.Tensor, s: Settings) -> bool:
    """Whether the weights are large and the outputs few, and nothing is dilated or grouped."""
    if s.transposed or s.group != 1 or x.ndim != 4 or list(s.dilation) != [1, 1]:
        return False
    height, width = columns.out_sizes(x, w, s)
    few = x.shape[0] * height * width <= _COLUMNS_MOST_OUTPUTS
    return few and w.numel() >= _COLUMNS_LEAST_WEIGHTS


def _is_pointwise(x: torch.Tensor, w: torch.Tensor, s: Settings) -> bool:
    """Whether the columns are the positions of ``x`` as they lie: 1×1 and channels-last."""
    if s.transposed or s.group != 1 or x.ndim != 4 or tuple(w.shape[2:]) != (1, 1):
        return False
    plain = list(s.stride) == [1, 1] and not any(s.pad)
    return plain and x.is_contiguous(memory_format=torch.channels_last)


def _loses_digits(x: torch.Tensor, w: torch.Tensor, s: Settings) -> bool:
    """Whether cuDNN may give a gradient of float32 weights without float32's accuracy.

    Its Winograd transform for 5×5 kernels with steps of one pixel is 6e-4 off (cuDNN 9.19), and no
    switch forbids it, nor does ``deterministic``.  Kernels of 3×3 have a smaller one, 4e-6 off at
    most; for those beyond 6×6 and for strides there is none: 1e-7.
    """
    if not kernels.enabled() or _name() != "fp32" or x.ndim != 4:
        return False
    steps = [*s.stride, *s.dilation]
    return 3 < max(w.shape[2:]) < 7 and all(n == 1 for n in steps)
