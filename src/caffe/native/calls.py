"""Kernels in C that are called by themselves, with everything that they need in one structure."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence

import torch

from caffe import native
from caffe.errors import Error
from caffe.native.handle import Handle

__all__ = ["Calls", "address_of_last", "floats"]


def floats(
    shape: Sequence[int], layout: torch.memory_format = torch.contiguous_format
) -> torch.Tensor:
    """Memory that a kernel fills: float32 on the CPU, whatever PyTorch's defaults are."""
    return torch.empty(tuple(shape), dtype=torch.float32, device="cpu", memory_format=layout)


def address_of_last(x: torch.Tensor, taker: str) -> int:
    """Where ``x`` lies; raises :class:`caffe.Error` in ``taker``'s name unless that is dense
    channels-last memory of float32."""
    if x.dtype != torch.float32 or not x.is_contiguous(memory_format=torch.channels_last):
        raise Error(
            f"{taker} takes float32 in channels-last memory; got {x.dtype} of {tuple(x.shape)} "
            f"with strides {x.stride()}"
        )
    return x.data_ptr()


class Calls(threading.local):
    """A kernel with one or two directions; each thread has a program of its own for each, made at
    its first call, as long as the thread lives.

    ``new`` and ``run`` are the names of the functions in C: ``new(back)`` makes a program and
    ``run(program, threads, structure)`` runs it, not 0 where there is no memory.
    """

    def __init__(self, new: str, run: str) -> None:
        self._names = new, run
        self._programs: dict[bool, Handle] = {}

    def run(self, back: bool, of: ctypes.Structure, threads: int | None = None) -> None:
        """Compute what the structure says, on PyTorch's number of threads unless one is given.

        Raises MemoryError.
        """
        if back not in self._programs:
            self._make(back)
        count = torch.get_num_threads() if threads is None else threads
        if self._run(self._programs[back].address, count, ctypes.byref(of)):
            raise MemoryError("no memory for a native kernel")

    def _make(self, back: bool) -> None:
        new, run = self._names
        self._run = getattr(native.needed(), run)
        self._programs[back] = Handle(MemoryError("no memory for a native kernel"), new, back)
