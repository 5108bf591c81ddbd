"""Deconvolutions that upsample each channel by its own kernel, in training, by the native kernels
(c/plane_upsampling.c): forward, and the gradient of the input."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch

from caffe import native
from caffe.native.calls import Calls, floats

__all__ = ["applies", "backward", "forward"]

Pair = Sequence[int]
_MOST_STRIDE, _MOST_INPUTS = 1 << 10, 16


class _Upsampling(ctypes.Structure):
    """``plane_upsampling`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("from", "weights", "bias", "to")),
        *((name, ctypes.c_int32) for name in ("n", "c", "h", "w", "out_h", "out_w")),
        ("window", ctypes.c_int32 * 6),
    )


_calls = Calls("kernels_plane_upsampling_new", "kernels_plane_upsampling")


def applies(x: torch.Tensor, kernel: Pair, stride: Pair, dilation: Pair) -> bool:
    """Whether the functions here are for this bottom (N, C, H, W) and geometry: kernels of a
    multiple of the stride, which is 2 at least, along the rows."""
    whole = 2 <= stride[1] <= _MOST_STRIDE and kernel[1] % stride[1] == 0
    inputs = -(-kernel[0] // stride[0]) * (kernel[1] // stride[1])  # of an output
    if (
        not whole
        or inputs > _MOST_INPUTS
        or list(dilation) != [1, 1]
        or x.ndim != 4
        or x.numel() == 0
    ):
        return False
    return x.is_cpu and x.dtype is torch.float32 and native.available()


def forward(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Pair,
    pad: Pair,
    size: Pair,
) -> torch.Tensor:
    """The deconvolution (N, C, *``size``) of each channel of ``x`` with its kernel of ``weight``
    (C, 1, kh, kw), in contiguous memory."""
    y = floats((*x.shape[:2], *size))
    _run(False, x, weight, bias, y, (stride, pad), (x.shape, size))
    return y


def backward(
    dy: torch.Tensor, weight: torch.Tensor, stride: Pair, pad: Pair, size: Pair
) -> torch.Tensor:
    """The gradient (N, C, *``size``) of :func:`forward`'s ``x``, in contiguous memory."""
    dx = floats((*dy.shape[:2], *size))
    _run(True, dy, weight, None, dx, (stride, pad), (dx.shape, dy.shape[2:]))
    return dx


def _run(
    back: bool,
    given: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    to: torch.Tensor,
    settings: tuple[Pair, Pair],
    sizes: tuple[Sequence[int], Pair],
) -> None:
    given, weight = given.contiguous(), weight.contiguous()
    bias = None if bias is None else bias.contiguous()
    window = (ctypes.c_int32 * 6)(*weight.shape[2:], *settings[0], *settings[1])
    of = _Upsampling(
        *(given.data_ptr(), weight.data_ptr(), 0 if bias is None else bias.data_ptr()),
        *(to.data_ptr(), *sizes[0], *sizes[1], window),
    )
    _calls.run(back, of)
