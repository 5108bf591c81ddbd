"""A solver's update of all parameters by the native kernels, in one call (c/update.c); of weights
whose gradient is an outer product one call for each (c/small_product.c)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch

from caffe import native
from caffe.native.calls import Calls
from caffe.native.outer import Outer

__all__ = ["RULES", "Parameter", "Update", "applies", "update"]

#: The rules by what they are called in C.  All but the first leave in ``g`` what was subtracted;
#: that is the first one's history.
RULES = ("SGD", "NESTEROV", "ADAGRAD", "RMSPROP", "ADADELTA", "ADAM")


_ALONE = 1 << 18  # numbers that one thread updates before another has woken


class Parameter(NamedTuple):
    """Weights, gradients, and one or two histories, with the rate and the decay.

    The gradient may be an outer product for the rule SGD, which does not write it.
    """

    w: torch.Tensor
    g: torch.Tensor | Outer
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


class _OuterUpdate(ctypes.Structure):
    """``outer_update`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("w", "h", "u", "v")),
        *((name, ctypes.c_int64) for name in ("rows", "columns")),
        *((name, ctypes.c_float) for name in ("rate", "decay", "factor", "momentum")),
        ("towards_zero", ctypes.c_int32),
    )


_calls = Calls("kernels_update_new", "kernels_update")


def applies(p: Parameter) -> bool:
    """Whether :func:`update` is for this parameter: float32 on the CPU, in one order of memory."""
    w, strides = p.w, p.w.stride()
    if not w.is_cpu or w.dtype is not torch.float32 or not w.is_contiguous():
        return False
    given = p.histories if isinstance(p.g, Outer) else (p.g, *p.histories)
    alike = all(t.stride() == strides and t.dtype is torch.float32 for t in given)
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
    of = Update(rule, parameters)
    of.set_rates([(p.rate, p.decay) for p in parameters])
    of.run(factor, kept, delta, towards_zero)


class Update:
    """:func:`update` of parameters that stay where they are, their rates and decays apart."""

    def __init__(self, rule: str, parameters: Sequence[Parameter]) -> None:
        # What the addresses point to, but for gradients: they must still be there in each run.
        self._kept = [
            (p.w, p.histories, p.g if isinstance(p.g, Outer) else None) for p in parameters
        ]
        plain = [p for p in parameters if not isinstance(p.g, Outer)]
        self._given = (_Parameter * len(plain))()
        self._threads = 1 if sum(p.w.numel() for p in plain) <= _ALONE else None
        self._of = _Update(self._given, 0, len(plain), RULES.index(rule))
        self._outers: list[_OuterUpdate] = []
        self._each: list[_Parameter | _OuterUpdate] = []  # in the order of the parameters
        at = iter(self._given)
        for p in parameters:
            if isinstance(p.g, Outer):
                if rule != "SGD":
                    raise ValueError(f"{rule} writes the gradient: it cannot be an outer product")
                address = (t.data_ptr() for t in (p.w, p.histories[0], p.g.u, p.g.v))
                self._outers.append(_OuterUpdate(*address, *p.w.shape))
                self._each.append(self._outers[-1])
                continue
            to = next(at)
            to.w, to.g, to.h = p.w.data_ptr(), p.g.data_ptr(), p.histories[0].data_ptr()
            if len(p.histories) > 1:
                to.h2 = p.histories[1].data_ptr()
            to.count = p.w.numel()
            self._each.append(to)

    def set_rates(self, rates: Sequence[tuple[float, float]]) -> None:
        """The rate and the decay of each parameter."""
        for to, (rate, decay) in zip(self._each, rates):
            to.rate, to.decay = rate, decay

    def run(
        self, factor: float, kept: tuple[float, float], delta: float, towards_zero: bool
    ) -> None:
        of, (one, two) = self._of, kept
        of.towards_zero, of.factor, of.delta = towards_zero, factor, delta
        of.momentum, of.momentum2 = kept
        of.rest, of.rest2, of.more = 1 - one, 1 - two, 1 + one
        if of.count:
            _calls.run(False, of, self._threads)
        for outer in self._outers:
            outer.factor, outer.momentum, outer.towards_zero = factor, one, towards_zero
            native.needed().kernels_outer_update(ctypes.byref(outer))
