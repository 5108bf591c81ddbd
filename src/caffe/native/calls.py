"""Kernels in C that are called by themselves, with everything that they need in one structure."""

from __future__ import annotations

import ctypes
import threading

import torch

from caffe import native

__all__ = ["Calls"]


class _Programs:
    """The programs of one thread, which are freed when it ends."""

    def __init__(self, new: str, run: str) -> None:
        kernels = native.library()
        if kernels is None:
            raise RuntimeError(f"the native kernels cannot be used: {native.why_not()}")
        make = getattr(kernels, new)
        make.restype = ctypes.c_void_p
        self.run, self._free = getattr(kernels, run), kernels.kernels_free
        self.by_direction = [ctypes.c_void_p(make(back)) for back in (0, 1)]
        if not all(self.by_direction):
            raise MemoryError("no memory for a native kernel")

    def __del__(self) -> None:
        for program in getattr(self, "by_direction", ()):
            if program:
                self._free(program)


class Calls(threading.local):
    """A kernel with two directions; each thread has programs of its own, made at its first call.

    ``new`` and ``run`` are the names of the functions in C: ``new(back)`` makes a program and
    ``run(program, threads, structure)`` runs it, not 0 where there is no memory.
    """

    def __init__(self, new: str, run: str) -> None:
        self._names = new, run
        self._programs: _Programs | None = None

    def run(self, back: bool, of: ctypes.Structure) -> None:
        """Compute what the structure says, on PyTorch's number of threads.

        Raises MemoryError.
        """
        if self._programs is None:
            self._programs = _Programs(*self._names)
        made = self._programs
        if made.run(made.by_direction[back], torch.get_num_threads(), ctypes.byref(of)):
            raise MemoryError("no memory for a native kernel")
