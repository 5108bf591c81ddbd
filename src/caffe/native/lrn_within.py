"""Local response normalization within channels by the native kernels (c/lrn_within.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch

from caffe import native
from caffe.native.calls import Calls

__all__ = ["applies", "backward", "forward"]


class _Within(ctypes.Structure):
    """``within`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "g", "s", "rest", "out")),
        *((name, ctypes.c_int32) for name in ("n", "h", "w", "c", "size")),
        *((name, ctypes.c_float) for name in ("a", "beta")),
    )


_calls = Calls("kernels_within_new", "kernels_within")
_LAST = torch.channels_last


def applies(x: torch.Tensor) -> bool:
    """Whether the functions here are for this bottom: a float32 map in channels-last memory."""
    if not x.is_cpu or x.dtype is not torch.float32 or x.is_contiguous():
        return False
    return x.is_contiguous(memory_format=_LAST) and native.available()


def forward(
    x: torch.Tensor, size: int, alpha: float, beta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """``x s^-beta`` and ``s = 1 + alpha / size^2 * sum of x^2 over size x size pixels``."""
    y, s = torch.empty_like(x), torch.empty_like(x)
    _run(False, x, (0, s.data_ptr(), 0, y.data_ptr()), size, alpha, beta)
    return y, s


def backward(
    g: torch.Tensor, x: torch.Tensor, s: torch.Tensor, size: int, alpha: float, beta: float
) -> torch.Tensor:
    """The gradient of ``x`` for that of what :func:`forward` gave."""
    g, x = g.contiguous(memory_format=_LAST), x.contiguous(memory_format=_LAST)
    d, rest = torch.empty_like(x), torch.empty_like(x)
    _run(True, x, [t.data_ptr() for t in (g, s, rest, d)], size, alpha, beta)
    return d


def _run(
    back: bool, x: torch.Tensor, others: Sequence[int], size: int, alpha: float, beta: float
) -> None:
    n, c, h, w = x.shape
    of = _Within(x.data_ptr(), *others, n, h, w, c, size, alpha / size**2, beta)
    _calls.run(back, of)
