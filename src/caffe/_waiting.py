"""Threads that wait for each other sleep, so that a busy machine does not stop them.

PyTorch splits an operator over the threads of OpenMP, which meet at its end.  By default a thread
that is there first spins for about 15 ms.  Where other programs use the processors too, it so
takes away the very time that the last thread needs: a forward pass of cifar10-full takes 380 ms
in the place of 2.  Here it spins for about 0.05 ms, then sleeps: long enough for what lies between
two operators, and too short for another program to miss.  A third of it (300 turns) costs an idle
machine 15 to 30 % and gains nothing on a busy one; three times as much (3000) costs that one up to
80 % (benchmarks/results/2026-11-27-where-time-goes.md).

The OpenMP libraries read their settings when they are loaded, so this comes before the first
``import torch``.  What the user has set stays as it is.
"""

from __future__ import annotations

import os
import sys

__all__ = ["SETTINGS", "let_threads_sleep"]

# The first is OpenMP's own, the second GNU's (PyTorch's from pip), the third Intel's (conda's).
SETTINGS = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}


def let_threads_sleep() -> bool:
    """Set how threads wait; False where the user has, or where PyTorch was loaded before."""
    if "torch" in sys.modules or any(name in os.environ for name in SETTINGS):
        return False
    os.environ.update(SETTINGS)
    return True
