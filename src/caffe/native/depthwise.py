"""Depthwise convolutions that learn, by native kernels (c/depthwise.c, depthwise_gradient.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch

from caffe.native.calls import Calls, address_of_last

__all__ = ["convolve", "gradients", "has_gradients"]

Pair = Sequence[int]
_SIZES = tuple((name, ctypes.c_int32) for name in ("n", "h", "w", "c", "out_h", "out_w"))


class _Call(ctypes.Structure):
    """``depthwise_call`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "weights", "bias", "y")),
        *_SIZES,
        ("window", ctypes.c_int32 * 9),
        ("relu", ctypes.c_int32),
    )


class _Gradient(ctypes.Structure):
    """``depthwise_gradient`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "dy", "weights", "dx", "dw")),
        *_SIZES,
        *((name, ctypes.c_int32) for name in ("stride", "pad_h", "pad_w")),
    )


_forward = Calls("kernels_depthwise_forward_new", "kernels_depthwise_forward")
_backward = Calls("kernels_depthwise_gradient_new", "kernels_depthwise_gradient")


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    y: torch.Tensor,
    stride: Pair,
    pad: Pair,
    dilation: Pair,
    relu: bool = False,
) -> None:
    """Write the convolution of each channel of ``x`` (N, C, H, W) with its kernel of ``weight``
    (C, 1, kh, kw), and a ReLU on request, into ``y`` (N, C, H', W').

    All float32 on the CPU; ``x`` and ``y`` in dense channels-last memory.
    """
    weight = weight.contiguous()
    bias = None if bias is None else bias.contiguous()
    window = (*weight.shape[2:], *stride, *pad, *dilation, x.shape[1])
    call = _Call(
        *(_address(x), weight.data_ptr(), 0 if bias is None else bias.data_ptr(), _address(y)),
        *_sizes(x, y),
        (ctypes.c_int32 * 9)(*window),
        relu,
    )
    _forward.run(False, call)


def has_gradients(kernel: Pair, stride: Pair, pad: Pair, dilation: Pair) -> bool:
    """Whether :func:`gradients` is for this geometry."""
    plain = list(kernel) == [3, 3] and list(dilation) == [1, 1] and max(pad) <= 2
    return plain and list(stride) in ([1, 1], [2, 2])


def gradients(
    x: torch.Tensor,
    dy: torch.Tensor,
    weight: torch.Tensor,
    stride: Pair,
    pad: Pair,
    dx: torch.Tensor | None,
    dw: torch.Tensor | None,
) -> None:
    """Write the gradients of ``x`` and of ``weight`` into ``dx`` and ``dw``, those that are given,
    from the output's ``dy``.  Memory as for :func:`convolve`, ``dw`` contiguous."""
    weight = weight.contiguous()
    call = _Gradient(
        *(_address(x), _address(dy), weight.data_ptr()),
        *(0 if dx is None else _address(dx), 0 if dw is None else dw.data_ptr()),
        *_sizes(x, dy),
        *(stride[0], *pad),
    )
    _backward.run(True, call)


def _sizes(x: torch.Tensor, y: torch.Tensor) -> tuple[int, ...]:
    n, c, h, w = x.shape
    return n, h, w, c, *y.shape[2:]


def _address(x: torch.Tensor) -> int:
    return address_of_last(x, "the native depthwise convolution")
