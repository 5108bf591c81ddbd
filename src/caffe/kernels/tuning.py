"""Which of several ways to compute the same is the fastest on this GPU: measured, once a case.

Measuring happens inside :func:`measuring` (net/replay.py says when), never in a CUDA graph's
capture and never in deterministic mode; elsewhere the first way is taken, or the one that was found
before.  Inside :func:`passing` a shape has come that may never come again: a way that needs no plan
of cuDNN's is preferred there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeVar

import torch

__all__ = ["best", "is_passing", "measuring", "passing"]

T = TypeVar("T")


class _Mode(threading.local):
    measures = False
    passing = False


_mode = _Mode()
_TIMES = 5
_HEAD_START = (
    4_000_000  # cycles of the GPU, some 2 ms, in which the host launches all runs of a way
)
_found: dict[Hashable, int] = {}


@contextlib.contextmanager
def measuring() -> Iterator[None]:
    """Let the calling thread measure what it does not know yet."""
    _mode.measures = True
    try:
        yield
    finally:
        _mode.measures = False


@contextlib.contextmanager
def passing() -> Iterator[None]:
    """Let the calling thread compute for shapes that may not come again."""
    _mode.passing = True
    try:
        yield
    finally:
        _mode.passing = False


def is_passing() -> bool:
    """Whether the calling thread is inside :func:`passing`."""
    return _mode.passing


def best(case: Hashable, ways: Sequence[Callable[[], T]], device: torch.device) -> T:
    """What ``ways[k]()`` gives, for the fastest k known for ``case``.

    All ways compute the same to rounding and change nothing.  A way but the first may raise
    RuntimeError: it is then never taken.
    """
    known = _found.get(case)
    if known is None and _measures(device):
        times = [_seconds(way, first=i == 0) for i, way in enumerate(ways)]
        known = _found[case] = times.index(min(times))
    return ways[known or 0]()


def _measures(device: torch.device) -> bool:
    if device.type != "cuda" or not _mode.measures:
        return False
    return not torch.cuda.is_current_stream_capturing()


def _seconds(way: Callable[[], object], first: bool) -> float:
    """The shortest of a few runs, in milliseconds by the device's clock.

    The runs are launched while the device waits: else those of a small way would take as long as
    Python needs to launch them, and what counts is how long they take in a CUDA graph.
    """
    try:
        way()  # cuDNN's own search, and memory
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(_TIMES + 1)]
        wait = getattr(torch.cuda, "_sleep", None)
        if wait is not None:
            wait(_HEAD_START)
        marks[0].record()
        for mark in marks[1:]:
            way()
            mark.record()
        marks[-1].synchronize()
    except RuntimeError:
        if first:
            raise
        return float("inf")
    return min(a.elapsed_time(b) for a, b in zip(marks, marks[1:]))
