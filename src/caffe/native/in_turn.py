"""Native kernels one after the other in one call (c/in_turn.c), each with a structure that was made
once: what a pass of a small net calls, where nothing but numbers has changed."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch

from caffe import native
from caffe.native.handle import Handle

__all__ = ["InTurn", "Kernel", "relu", "relu_back"]

_NO_MEMORY = "no memory for a native kernel"


class Kernel(NamedTuple):
    """A kernel by the name of its function in C, what it takes, and where it needs a program of its
    own the function that makes this, with its argument."""

    run: str
    of: ctypes.Structure
    new: tuple[str, bool] | None = None


class _Call(ctypes.Structure):
    """``call`` in C."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("run", "program", "of"))


class _Relu(ctypes.Structure):
    """``small_relu`` in C."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("x", "y", "g")),
        ("count", ctypes.c_int64),
    )


class InTurn:
    """Runs them on the calling thread.  What their structures point to must outlive this."""

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        library = native.needed()
        self._kernels, self._programs = list(kernels), list[Handle]()
        self._calls = (_Call * len(kernels))()
        for call, kernel in zip(self._calls, kernels):
            call.run = ctypes.cast(getattr(library, kernel.run), ctypes.c_void_p)
            call.of = ctypes.addressof(kernel.of)
            if kernel.new is not None:
                self._programs.append(Handle(MemoryError(_NO_MEMORY), *kernel.new))
                call.program = self._programs[-1].address
        self._run = library.kernels_in_turn
        self._arguments = self._calls, len(kernels)

    def run(self) -> bool:
        """False where one of them could not: those before it have run, those after it have not."""
        return not self._run(*self._arguments)


def relu(x: torch.Tensor, y: torch.Tensor) -> Kernel:
    """max(x, 0), which may be ``x``; NaN stays."""
    return Kernel("kernels_small_relu", _Relu(x.data_ptr(), y.data_ptr(), None, x.numel()))


def relu_back(x: torch.Tensor, g: torch.Tensor, dx: torch.Tensor) -> Kernel:
    """The gradient of a ReLU's bottom, which may be that of its top, ``g``."""
    of = _Relu(x.data_ptr(), dx.data_ptr(), g.data_ptr(), x.numel())
    return Kernel("kernels_small_relu_back", of)
