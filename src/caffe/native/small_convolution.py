"""Convolutions of one small image in training by the native kernels, one call each way
(c/small_convolution.c)."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence

import torch

from caffe import native
from caffe.native.calls import floats

__all__ = ["applies", "convolve", "gradients", "of"]

Pair = Sequence[int]


class _Small(ctypes.Structure):
    """``small`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "weight", "bias", "dy")),
        *((name, ctypes.c_void_p) for name in ("y", "dx", "dw", "db")),
        *((name, ctypes.c_int32) for name in ("c", "h", "w", "outputs", "out_h", "out_w")),
        ("window", ctypes.c_int32 * 6),
    )


def applies(x: torch.Tensor) -> bool:
    """Whether the functions are for this map (1, C, H, W): float32 on the CPU."""
    one = x.is_cpu and x.dtype is torch.float32 and len(x) == 1
    return one and native.available()


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    shape: Sequence[int],
    stride: Pair,
    pad: Pair,
) -> torch.Tensor:
    """The convolution of ``shape`` (1, O, H', W') with weights (O, C, kh, kw)."""
    x, weight, y = x.contiguous(), weight.contiguous(), floats(shape)
    _run(_functions()[0], of(x, weight, shape, stride, pad, bias=bias, y=y))
    return y


def gradients(
    x: torch.Tensor,
    weight: torch.Tensor,
    dy: torch.Tensor,
    stride: Pair,
    pad: Pair,
    dx: torch.Tensor | None,
    dw: torch.Tensor | None,
    db: torch.Tensor | None,
) -> None:
    """Write the gradients of ``x``, the weights and the bias for that of the convolution into
    contiguous memory, those that are given."""
    x, weight, dy = x.contiguous(), weight.contiguous(), dy.contiguous()
    given = {"dy": dy, "dx": dx, "dw": dw, "db": db}
    _run(_functions()[1], of(x, weight, dy.shape, stride, pad, **given))


def of(
    x: torch.Tensor,
    weight: torch.Tensor,
    shape: Sequence[int],
    stride: Pair,
    pad: Pair,
    **others: torch.Tensor | None,
) -> _Small:
    """The structure for a convolution of ``shape``, and for ``bias``, ``dy`` and what is to be
    written: ``y``, or the gradients ``dx``, ``dw`` and ``db`` that are wanted.  All contiguous."""
    found = _Small(x=x.data_ptr(), weight=weight.data_ptr())
    for name, tensor in others.items():
        setattr(found, name, None if tensor is None else tensor.data_ptr())
    found.c, found.h, found.w = x.shape[1:]
    found.outputs, found.out_h, found.out_w = shape[1:]
    found.window = (ctypes.c_int32 * 6)(*weight.shape[2:], *stride, *pad)
    return found


def _run(function: Callable[..., int], given: _Small) -> None:
    if function(ctypes.byref(given)):
        raise MemoryError("no memory for a small convolution")


@functools.cache
def _functions() -> tuple[Callable[..., int], Callable[..., int]]:
    kernels = native.needed()
    return kernels.kernels_small_convolution, kernels.kernels_small_convolution_back
