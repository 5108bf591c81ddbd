"""Keep freed memory for the next pass instead of giving it back to the system.

A net's blobs are tens of megabytes each.  glibc takes such blocks straight from the kernel and
returns them when freed, so every pass pays a page fault for each 4 KB it touches: 16 % of a
training step of FCN-8s.  Raising two thresholds keeps the memory in the process.  The setting
belongs to the whole process; ``CAFFE_KEEP_MEMORY=0`` in the environment leaves it alone.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["give_back", "keep_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 1 << 30


def keep_memory() -> bool:
    """Raise the thresholds; False where the C library has no such setting."""
    if os.environ.get("CAFFE_KEEP_MEMORY", "1") == "0" or not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library than glibc
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def give_back() -> None:
    """Give the system what is free: for when much was freed that will not be needed again."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return
