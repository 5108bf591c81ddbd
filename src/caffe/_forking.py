"""A process that was forked computes, instead of waiting for ever for threads it does not have.

OpenMP's threads stay behind in a fork, but its library goes on counting on them: the first operator
of a child that splits its work hangs.  So the threads are let go just before a fork, and both
processes make new ones when they need them.  Where the library cannot do that (before OpenMP 5.0),
the child computes with one thread, as PyTorch's own worker processes do.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["compute_after_fork"]

_HARD = 2  # omp_pause_hard: give back everything
_LIBRARY = re.compile(r"/\S*/lib(?:gomp|i?omp5?)\b[^/\s]*\.so[^/\s]*")


@functools.cache  # after PyTorch is loaded: the library stays the same
def _pause() -> Callable[[int], int] | None:
    """OpenMP's function that ends the threads, where the loaded library has it."""
    try:
        paths = set(_LIBRARY.findall(Path("/proc/self/maps").read_text()))
        (path,) = paths  # of two libraries one cannot say which computes
        return ctypes.CDLL(path).omp_pause_resource_all
    except (OSError, ValueError, AttributeError):
        return None


def compute_after_fork() -> None:
    """Look after every fork of this process from now on."""
    if not hasattr(os, "register_at_fork"):  # Windows has no fork
        return
    os.register_at_fork(before=_let_threads_go, after_in_child=_compute_alone)


def _let_threads_go() -> None:
    if "torch" in sys.modules:  # else there are no threads yet
        pause = _pause()
        if pause is not None:
            pause(_HARD)


def _compute_alone() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and _pause() is None:
        torch.set_num_threads(1)
