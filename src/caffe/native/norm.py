"""Batch normalization that learns by the native kernels (c/norm.c): with a scale by channel, a sum
and an activation after it, each direction one or two passes over the map.

PyTorch's own goes over the map three to five times each way, at a third of the memory's speed in
channels-last memory, and the activation and the sum twice more each.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import torch

from caffe import native
from caffe.native.calls import Calls, floats

__all__ = [
    "FACTOR",
    "INVERSE",
    "MEAN",
    "OFFSET",
    "Act",
    "Gradients",
    "applies",
    "backward",
    "forward",
]

_KEPT = (
    5  # numbers of a channel: its mean and what rounding left out, 1 / deviation, factor, offset
)
MEAN, INVERSE, FACTOR, OFFSET = 0, 2, 3, 4
_POINTERS = (
    *("x", "other", "y", "g", "h", "dx", "passed", "scale", "shift"),
    *("mean_sum", "variance_sum", "number", "kept", "dscale", "dshift"),
)


class Act(NamedTuple):
    """An activation that clamps; the gradient passes between its ends, without these."""

    low: float
    high: float


class Gradients(NamedTuple):
    """What :func:`backward` gives: of x, of the scale, of the shift, and of the sum before the
    activation; None where that was not asked for."""

    x: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor
    passed: torch.Tensor | None


class _Norm(ctypes.Structure):
    """``norm`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in _POINTERS),
        *((name, ctypes.c_int64) for name in ("n", "c", "area")),
        *((name, ctypes.c_int32) for name in ("last", "stored", "act")),
        *((name, ctypes.c_float) for name in ("low", "high", "eps", "decay")),
    )


_calls = Calls("kernels_norm_new", "kernels_norm")


def applies(x: torch.Tensor) -> bool:
    """Whether the functions here are for this bottom (N, C, H, W)."""
    return x.is_cpu and x.dtype is torch.float32 and x.numel() > 0 and native.available()


def forward(
    x: torch.Tensor,
    scale: torch.Tensor,
    shift: torch.Tensor | None,
    statistics: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    eps: float,
    decay: float | None,
    act: Act | None = None,
    other: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """``act((x - mean) / sqrt(variance + eps) scale + shift + other)`` in the layout of ``x``,
    which is dense, and what :func:`backward` needs.

    ``statistics`` are Caffe's three blobs.  With ``decay`` they take in the batch's mean and
    variance, which are used; with None they are used themselves.
    """
    layout = _layout(x)
    y = floats(x.shape, layout)
    kept = floats((_KEPT, x.shape[1]))
    if other is not None:
        other = other.contiguous(memory_format=layout)
    of = _of(x, layout, decay is None, act)
    of.eps, of.decay = eps, 0 if decay is None else decay
    _point(of, x=x, y=y, other=other, scale=scale, shift=shift, kept=kept)
    mean, variance, number = statistics
    _point(of, mean_sum=mean, variance_sum=variance, number=number)
    _calls.run(False, of)
    return y, kept


def backward(
    gradients: tuple[torch.Tensor, ...],
    x: torch.Tensor,
    kept: torch.Tensor,
    stored: bool,
    act: Act | None = None,
    y: torch.Tensor | None = None,
    passes: bool = False,
) -> Gradients:
    """The gradients for those of what :func:`forward` gave, one or two that are to be added.

    ``y`` is its result where something was added before the activation.
    """
    layout = _layout(x)
    g, *more = (t.contiguous(memory_format=layout) for t in gradients)
    if y is not None:
        y = y.contiguous(memory_format=layout)
    dx = floats(x.shape, layout)
    passed = floats(x.shape, layout) if passes else None
    by_channel = floats((2, x.shape[1]))
    of = _of(x, layout, stored, act)
    _point(of, x=x, y=y, g=g, h=more[0] if more else None, dx=dx, passed=passed, kept=kept)
    _point(of, dscale=by_channel[0], dshift=by_channel[1])
    _calls.run(True, of)
    return Gradients(dx, by_channel[0], by_channel[1], passed)


def _layout(x: torch.Tensor) -> torch.memory_format:
    return torch.contiguous_format if x.is_contiguous() else torch.channels_last


def _of(x: torch.Tensor, layout: torch.memory_format, stored: bool, act: Act | None) -> _Norm:
    n, c, h, w = x.shape
    of = _Norm(n=n, c=c, area=h * w, last=layout is torch.channels_last, stored=stored)
    if act is not None:
        of.act, of.low, of.high = True, *act
    return of


def _point(of: _Norm, **tensors: torch.Tensor | None) -> None:
    for name, tensor in tensors.items():
        if tensor is not None:
            setattr(of, name, tensor.data_ptr())
