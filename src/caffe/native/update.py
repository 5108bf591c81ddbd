"""A solver's update of all parameters by the native kernels, in one call (c/update.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch

from caffe import native
from caffe.native.calls import Calls

__all__ = ["RULES", "Parameter", "applies", "update"]

#: The rules by what they are called in C.  All but the first leave in ``g`` what was subtracted;
#: that is the first one's history.
RULES = ("SGD", "NESTEROV", "ADAGRAD", "RMSPROP", "ADADELTA", "ADAM")


class Parameter(NamedTuple):
    """Weights, gradients, and one or two histories, with the rate and the decay."""

    w: torch.Tensor
    g: torch.Tensor
    histories: Sequence[torch.Tensor]
    rate: float
    decay: float


class _Parameter(ctypes.Structure):
    """``parameter`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("w", "g", "h", "h2")),
        *((name, ctypes.c_int64) for name in ("count", "first")),
        *((name, ctypes.c_float) for name in ("rate", "decay")),
    )


class _Update(ctypes.Structure):
    """``update`` in C."""

    _fields_ = (
        ("parameters", ctypes.POINTER(_Parameter)),
        ("blocks", ctypes.c_int64),
        *((name, ctypes.c_int32) for name in ("count", "rule", "towards_zero")),
        *((name, ctypes.c_float) for name in ("factor", "momentum", "momentum2", "delta")),
        *((name, ctypes.c_float) for name in ("rest", "rest2", "more")),
    )


_calls = Calls("kernels_update_new", "kernels_update")


def applies(p: Parameter) -> bool:
    """Whether :func:`update` is for this parameter: float32 on the CPU, in one order of memory."""
    w, strides = p.w, p.w.stride()
    if not w.is_cpu or w.dtype is not torch.float32 or not w.is_contiguous():
        return False
    alike = all(t.stride() == strides and t.dtype is torch.float32 for t in (p.g, *p.histories))
    return alike and native.available()


def update(
    rule: str,
    parameters: Sequence[Parameter],
    factor: float,
    kept: tuple[float, float],
    delta: float,
    towards_zero: bool,
) -> None:
    """Update the parameters in place from ``factor`` times their gradients.

    ``kept``: the shares of the first and of the second history that stay.  ``towards_zero``: the
    decay is L1's.  ADAM takes the correction of its start within the rate.
    """
    count = len(parameters)
    given = (_Parameter * count)()
    for to, p in zip(given, parameters):
        to.w, to.g, to.h = p.w.data_ptr(), p.g.data_ptr(), p.histories[0].data_ptr()
        if len(p.histories) > 1:
            to.h2 = p.histories[1].data_ptr()
        to.count, to.rate, to.decay = p.w.numel(), p.rate, p.decay
    one, two = kept
    numbers = factor, one, two, delta, 1 - one, 1 - two, 1 + one
    of = _Update(given, 0, count, RULES.index(rule), towards_zero, *numbers)
    _calls.run(False, of)
