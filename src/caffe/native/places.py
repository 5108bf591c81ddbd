"""Max pooling that learns by the native kernels (c/places.c): maxima, their places, the gradient.

PyTorch's own takes 40 to 110 µs for a map of 11,520 numbers, and searches maps in NCHW memory one
number at a time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch

from caffe import native
from caffe.native.calls import Calls, floats

__all__ = ["applies", "backward", "forward", "of"]

Pair = Sequence[int]
_MOST = 1 << 31  # numbers of an image: places are of 32 bits


class _Pooled(ctypes.Structure):
    """``pooled`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "y", "places")),
        *((name, ctypes.c_int32) for name in ("n", "h", "w", "c", "out_h", "out_w")),
        ("window", ctypes.c_int32 * 9),
        ("last", ctypes.c_int32),
    )


_calls = Calls("kernels_places_new", "kernels_places")


def applies(x: torch.Tensor) -> bool:
    """Whether :func:`forward` is for this bottom (N, C, H, W)."""
    small = x[:1].numel() < _MOST
    return x.is_cpu and x.dtype is torch.float32 and small and native.available()


def forward(
    x: torch.Tensor, kernel: Pair, stride: Pair, pad: Pair, out: Pair
) -> tuple[torch.Tensor, torch.Tensor]:
    """The maxima (N, C, *``out``) and their places ``row W + column``, int32, -1 where none is more
    than -3.4e38.  Both are in the layout of ``x``, NCHW or channels-last.

    The first maximum in raster order wins, NaN never.
    """
    x, layout = _dense(x)
    shape = (*x.shape[:2], *out)
    y = floats(shape, layout)
    places = torch.empty(shape, dtype=torch.int32, device="cpu", memory_format=layout)
    _run(False, x, y, places, (kernel, stride, pad), layout)
    return y, places


def backward(
    g: torch.Tensor,
    places: torch.Tensor,
    shape: Sequence[int],
    kernel: Pair,
    stride: Pair,
    pad: Pair,
) -> torch.Tensor:
    """The gradient of the bottom of ``shape`` for that of the maxima; it is in the layout of the
    places."""
    last = not places.is_contiguous()
    layout = torch.channels_last if last else torch.contiguous_format
    g = g.contiguous(memory_format=layout)
    dx = floats(shape, layout)
    _run(True, dx, g, places, (kernel, stride, pad), layout)
    return dx


def _dense(x: torch.Tensor) -> tuple[torch.Tensor, torch.memory_format]:
    last = torch.channels_last
    if not x.is_contiguous() and x.is_contiguous(memory_format=last):
        return x, last
    return x.contiguous(), torch.contiguous_format


def _run(
    back: bool,
    x: torch.Tensor,
    y: torch.Tensor,
    places: torch.Tensor,
    sizes: tuple[Pair, Pair, Pair],
    layout: torch.memory_format,
) -> None:
    _calls.run(back, of(x, y, places, *sizes, layout is torch.channels_last))


def of(
    x: torch.Tensor,
    y: torch.Tensor,
    places: torch.Tensor,
    kernel: Pair,
    stride: Pair,
    pad: Pair,
    last: bool = False,
) -> _Pooled:
    """The structure for a bottom, a top and the places, or for the gradients of the two.  All are
    dense, with ``last`` in channels-last memory."""
    n, c, h, w = x.shape
    addresses = x.data_ptr(), y.data_ptr(), places.data_ptr()
    window = (ctypes.c_int32 * 9)(*kernel, *stride, *pad, 1, 1, 1)
    return _Pooled(*addresses, n, h, w, c, *y.shape[2:], window, last)
