"""Convolutions of images of few channels that learn, by the native kernels (c/few_channels.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch

from caffe.native.calls import Calls, address_of_last, floats

__all__ = ["applies", "convolve", "gradients"]

Pair = Sequence[int]
_MOST_CHANNELS, _LEAST_OUTPUTS, _LEAST_WIDTH = 4, 16, 12
_WIDTHS = 3, 4, 5, 7, 11  # of kernels


class _FewChannels(ctypes.Structure):
    """``few_channels`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "weights", "bias", "y", "dw", "db")),
        *((name, ctypes.c_int32) for name in ("n", "c", "h", "w", "out_c", "out_h", "out_w")),
        ("window", ctypes.c_int32 * 6),
        ("relu", ctypes.c_int32),
    )


_calls = Calls("kernels_few_channels_new", "kernels_few_channels")


def applies(bottom: Sequence[int], top: Sequence[int], kernel: Pair) -> bool:
    """Whether the functions here are for a bottom (N, C, H, W) and a top of these shapes; nothing
    is dilated or grouped."""
    few = bottom[1] <= _MOST_CHANNELS and kernel[1] in _WIDTHS
    return few and top[1] >= _LEAST_OUTPUTS and top[3] >= _LEAST_WIDTH and bottom[0] > 0


def convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    y: torch.Tensor,
    stride: Pair,
    pad: Pair,
    relu: bool = False,
) -> None:
    """Write the convolution of ``x`` (N, C, H, W) with weights (O, C, kh, kw), and a ReLU on
    request, into ``y`` (N, O, H', W'), which is in dense channels-last memory.  All float32 on the
    CPU; ``x`` in any memory format."""
    _run(False, (x, weight, y), (bias, None, None), (stride, pad), relu)


def gradients(
    x: torch.Tensor, dy: torch.Tensor, shape: Sequence[int], stride: Pair, pad: Pair, bias: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The gradients of the weights, of ``shape`` (O, C, kh, kw), and with ``bias`` of the bias, for
    the gradient ``dy`` of what :func:`convolve` wrote, in channels-last memory.  They do not depend
    on the number of threads."""
    dw = floats(shape)
    db = floats(shape[:1]) if bias else None
    _run(True, (x, dw, dy), (None, dw, db), (stride, pad), False)
    return dw, db


def _run(
    back: bool,
    given: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    others: Sequence[torch.Tensor | None],
    settings: tuple[Pair, Pair],
    relu: bool,
) -> None:
    (x, weight, y), (bias, dw, db) = given, others
    address_of_last(y, "the native convolution of few channels, for its outputs,")
    x, weight = x.contiguous(), weight.contiguous()
    bias = None if bias is None else bias.contiguous()
    window = (ctypes.c_int32 * 6)(*weight.shape[2:], *settings[0], *settings[1])
    addresses = [0 if t is None else t.data_ptr() for t in (x, weight, bias, y, dw, db)]
    _calls.run(back, _FewChannels(*addresses, *x.shape, *y.shape[1:], window, relu))
