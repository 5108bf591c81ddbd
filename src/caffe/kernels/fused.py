"""A convolution, the sum with another blob and an activation in one call, in TEST.

The weights are packed once into the layout that oneDNN's kernel reads; PyTorch's convolution does
that in every call.  Activations stay in channels-last memory from layer to layer.  The operator is
what torch.compile emits; whether this PyTorch has it is tried once (:func:`available`).

The call itself takes 40 µs before it computes.  So small pointwise convolutions are matrix products
(:func:`product`), whose call takes 5.

NaN: the ReLU of this call gives 0, where ReLU and Caffe give NaN.  So callers make sure that
weights and input are finite (:func:`finite`), and do without this call where they are not.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

__all__ = [
    "NONE",
    "Activation",
    "Convolution",
    "Settings",
    "activate",
    "available",
    "convolution",
    "finite",
    "last",
    "pack",
    "prefers_product",
    "product",
]


#: ``call(x, other=None)``: of ``x`` (N, C, H, W), and of ``other`` where it adds one, both as
#: :func:`last` gives them.  The result is in channels-last memory of its own.
Convolution = Callable[..., torch.Tensor]

# A pointwise convolution of so many multiplications and outputs at most is a product: beyond, what
# addmm does before (copy the bias) and after (the activation) takes longer than oneDNN's call.
_MOST_WORK = 20_000_000
_MOST_OUTPUTS = 1 << 16


class Activation(NamedTuple):
    """An activation by oneDNN's name, with its numbers."""

    name: str
    scalars: tuple[float, ...] = ()


NONE = Activation("none")


class Settings(NamedTuple):
    """Of a 2-D convolution."""

    pad: list[int]
    stride: list[int]
    dilation: list[int]
    group: int


def available(precision: str = "fp32") -> bool:
    """Whether this PyTorch has the operator, this processor the precision ("fp32" or "bf16"), and
    oneDNN may be used."""
    return bool(torch.backends.mkldnn.enabled) and _works(precision)


@functools.cache
def _works(precision: str) -> bool:
    settings = Settings([0, 0], [1, 1], [1, 1], 1)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    try:
        if precision == "bf16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        with torch.no_grad():
            x, weight = torch.ones(1, 1, 1, 2, dtype=dtype), torch.ones(1, 1, 1, 1, dtype=dtype)
            packed = pack(weight, settings, x.shape)
            call = convolution(packed, None, settings, Activation("relu"))
        return bool((call(x, x) == 2).all())
    except (AttributeError, NotImplementedError, RuntimeError):
        return False


def pack(weight: torch.Tensor, settings: Settings, bottom: Sequence[int]) -> Any:
    """Weights (O, C / group, kh, kw) in the layout for a bottom of this shape.

    They serve other shapes too, where another layout might be faster.
    """
    pad, stride, dilation, group = settings
    return torch.ops.mkldnn._reorder_convolution_weight(
        weight.contiguous(), pad, stride, dilation, group, list(bottom)
    )


def convolution(
    packed: Any,
    bias: torch.Tensor | None,
    settings: Settings,
    activation: Activation = NONE,
) -> Convolution:
    """``activation(convolution(x) + other)`` by oneDNN, with the weights of :func:`pack`."""
    op = torch.ops.mkldnn._convolution_pointwise
    name, scalars = activation
    # After a sum the operator knows no activation but ReLU.
    alone = (packed, bias, *settings, name, list(scalars), "")
    relu = "relu" if name == "relu" else None
    after: tuple[Any, ...] = (packed, bias, *settings, "add", 1.0, relu, [], "")
    call, added = op.default, op.binary
    done = name in ("relu", "none")

    def run(x: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
        if other is None:
            y = call(x, *alone)
        else:
            y = added(x, other, *after)
            if not done:
                activate(y, activation)
        return y

    return run


def prefers_product(
    kernel: Sequence[int],
    settings: Settings,
    bottom: Sequence[int],
    outputs: int,
) -> bool:
    """Whether :func:`product` computes this convolution, and faster."""
    n, c, h, w = bottom
    if list(kernel) != [1, 1] or settings.stride != [1, 1] or any(settings.pad):
        return False
    numbers = n * h * w * outputs
    return settings.group == 1 and numbers <= _MOST_OUTPUTS and numbers * c <= _MOST_WORK


def product(
    weight: torch.Tensor, bias: torch.Tensor | None, activation: Activation = NONE
) -> Convolution:
    """:func:`convolution` for weights (O, C, 1, 1), as they are."""
    matrix = weight.flatten(1).t().contiguous()  # (C, O)
    c, o = matrix.shape
    plain = activation == NONE

    def run(x: torch.Tensor, other: torch.Tensor | None = None) -> torch.Tensor:
        rows = x.permute(0, 2, 3, 1).reshape(-1, c)
        if other is not None:
            y = torch.addmm(other.permute(0, 2, 3, 1).reshape(-1, o), rows, matrix)
            if bias is not None:
                y += bias
        elif bias is not None:
            y = torch.addmm(bias, rows, matrix)
        else:
            y = torch.mm(rows, matrix)
        if not plain:
            activate(y, activation)
        n, _, h, w = x.shape
        return y.view(n, h, w, o).permute(0, 3, 1, 2)

    return run


def activate(y: torch.Tensor, activation: Activation) -> torch.Tensor:
    """The activation by itself, in place."""
    name, scalars = activation
    if name == "none":
        return y
    if name == "relu":
        return y.relu_()
    if name == "hardtanh":
        return y.clamp_(*scalars)
    return torch.nn.functional.leaky_relu_(y, *scalars)


def last(x: torch.Tensor) -> torch.Tensor:
    """``x`` (N, C, H, W) with the strides of channels-last memory, copied only if need be.

    One channel, or one position, lies the same either way; PyTorch then keeps the other strides,
    and the result would have them too.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    _, c, h, w = x.shape
    if x.stride(1) != 1 or x.stride(3) != c:
        x = x.as_strided(x.shape, (h * w * c, 1, w * c, c))
    return x


def finite(x: torch.Tensor) -> bool:
    """False where a value is NaN or infinite (or all are so large that their sum is)."""
    return math.isfinite(x.sum().item())
