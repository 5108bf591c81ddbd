"""Kernels in C that are called by themselves, with everything that they need in one structure."""

from __future__ import annotations

import ctypes
import threading

import torch

from caffe import native

__all__ = ["Calls"]


class Calls(threading.local):
    """A kernel with one or two directions; each thread has a program of its own for each, made at
    its first call.

    ``new`` and ``run`` are the names of the functions in C: ``new(back)`` makes a program and
    ``run(program, threads, structure)`` runs it, not 0 where there is no memory.
    """

    def __init__(self, new: str, run: str) -> None:
        self._names = new, run
        self._programs: dict[bool, ctypes.c_void_p] = {}

    def run(self, back: bool, of: ctypes.Structure) -> None:
        """Compute what the structure says, on PyTorch's number of threads.

        Raises MemoryError.
        """
        if back not in self._programs:
            self._make(back)
        if self._run(self._programs[back], torch.get_num_threads(), ctypes.byref(of)):
            raise MemoryError("no memory for a native kernel")

    def _make(self, back: bool) -> None:
        kernels = native.needed()
        make = getattr(kernels, self._names[0])
        make.restype = ctypes.c_void_p
        self._run, self._free = getattr(kernels, self._names[1]), kernels.kernels_free
        made = ctypes.c_void_p(make(back))
        if not made:
            raise MemoryError("no memory for a native kernel")
        self._programs[back] = made

    def __del__(self) -> None:
        for program in getattr(self, "_programs", {}).values():
            self._free(program)
