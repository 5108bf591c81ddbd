"""How much memory is free: the machine's, the container's, the GPU's."""

import os
from typing import Optional

__all__ = ["available", "resident", "text"]


def _number(path: str, key: str = "") -> Optional[int]:
    """The number in a file, or after ``key`` on one of its lines."""
    try:
        with open(path, encoding="ascii") as lines:
            for line in lines:
                if line.startswith(key):
                    return int(line[len(key) :].split()[0])
    except (OSError, ValueError, IndexError):
        pass  # not Linux, or no such limit ("max")
    return None


def _host() -> Optional[int]:
    free = []
    kilobytes = _number("/proc/meminfo", "MemAvailable:")
    if kilobytes is not None:
        free.append(kilobytes * 1024)
    # Containers: the limit of the control group, version 2 or 1.  Cached files can be dropped.
    for limit, used, stat, key in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file "),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file ",
        ),
    ):
        most, now = _number("/sys/fs/cgroup/" + limit), _number("/sys/fs/cgroup/" + used)
        if most is not None and now is not None:
            free.append(most - now + (_number("/sys/fs/cgroup/" + stat, key) or 0))
    return min(free) if free else None


def available(gpu: Optional[int] = None) -> Optional[int]:
    """Free bytes of GPU number ``gpu`` or of the host; None where nothing tells.

    What PyTorch took from a GPU and keeps unused for the next tensors counts as free.
    """
    if gpu is None:
        return _host()
    try:
        import torch
    except ImportError:  # BVLC Caffe does without
        return None
    unused = torch.cuda.memory_reserved(gpu) - torch.cuda.memory_allocated(gpu)
    return int(torch.cuda.mem_get_info(gpu)[0] + unused)


def resident() -> int:
    """Bytes of memory that this process takes now; 0 where nothing tells."""
    try:
        with open("/proc/self/statm", encoding="ascii") as line:
            pages = int(line.read().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def text(count: float) -> str:
    """Bytes as "1.5 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
