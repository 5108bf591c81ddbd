"""A process that was forked computes, instead of waiting for ever for threads it does not have.

OpenMP's threads stay behind in a fork, but its library goes on counting on them: the first operator
of a child that splits its work hangs.  So the threads are let go just before a fork, and both
processes make new ones when they need them.  Where the library cannot do that (before OpenMP 5.0),
the child computes with one thread, as PyTorch's own worker processes do.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable
from pathlib import Path

import torch

__all__ = ["compute_after_fork"]

_HARD = 2  # omp_pause_hard: give back everything
_LIBRARY = re.compile(r"/\S*/lib(?:gomp|i?omp5?)\b[^/\s]*\.so[^/\s]*")


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
    pause = _pause()
    if pause is None:
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
    else:
        os.register_at_fork(before=lambda: pause(_HARD))
