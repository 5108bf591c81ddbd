"""Working memory that is kept from call to call, one set a thread.

Fresh memory costs a page fault every 4 KB at its first touch, more than the arithmetic of a
memory-bound step; so kernels work strip by strip in the same few buffers.
"""

from __future__ import annotations

import math
import threading

import torch

__all__ = ["buffer"]


class _Buffers(threading.local):
    def __init__(self) -> None:
        self.by_name: dict[str, torch.Tensor] = {}


_buffers = _Buffers()


def buffer(name: str, *shape: int) -> torch.Tensor:
    """Uninitialised float32 memory; the next call with this name may return the same."""
    count = math.prod(shape)
    found = _buffers.by_name.get(name)
    if found is None or found.numel() < count:
        _buffers.by_name.pop(name, None)  # free the old before the new is taken
        found = _buffers.by_name[name] = torch.empty(count)
    return found[:count].view(shape)
