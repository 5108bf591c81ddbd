"""A convolution, the sum with another blob and an activation in one call of oneDNN, in TEST.

The weights are packed once into the layout that oneDNN's kernel reads; PyTorch's convolution does
that in every call.  Activations stay in channels-last memory from layer to layer.  The operator is
what torch.compile emits; whether this PyTorch has it is tried once (:func:`available`).

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
]


Convolution = Callable[..., torch.Tensor]


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
            y = convolution(packed, None, settings, Activation("relu"), adds=True)(x, x)
        return bool((y == 2).all())
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
    adds: bool = False,
) -> Convolution:
    """The function ``activation(convolution(x) + other)`` of ``x`` (N, C, H, W), and of ``other``
    where it ``adds`` one, both as :func:`last` gives them.

    Its result is in channels-last memory of its own.
    """
    op = torch.ops.mkldnn._convolution_pointwise
    name, scalars = activation
    rest: tuple[Any, ...]
    if not adds:
        call, rest = op.default, (packed, bias, *settings, name, list(scalars), "")
        return lambda x: call(x, *rest)
    unary = "relu" if name == "relu" else None  # it knows no other after a sum
    call, rest = op.binary, (packed, bias, *settings, "add", 1.0, unary, [], "")
    if unary or activation == NONE:
        return lambda x, other: call(x, other, *rest)
    return lambda x, other: activate(call(x, other, *rest), activation)


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
