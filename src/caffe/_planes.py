"""From channels-last memory to Caffe's order, plane by plane, as fast as memory allows.

PyTorch's copy goes through the whole source once for each channel.  A few rows of an image at a
time stay in the cache meanwhile, which takes a third to a half of the time.
"""

from __future__ import annotations

import torch

__all__ = ["copy_planes", "planes"]

_STRIP_BYTES = 1 << 19  # of the source; below, more calls than they save


def planes(x: torch.Tensor) -> torch.Tensor:
    """``x.contiguous()``."""
    if x.is_contiguous():
        return x
    return copy_planes(torch.empty(x.shape, dtype=x.dtype, device=x.device), x)


def copy_planes(target: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """``target.copy_(source)``, two tensors of one shape."""
    last = source.ndim == 4 and source.is_cpu and source.stride(1) == 1 and source.shape[1] > 1
    size = source.numel() * source.element_size()
    if not last or size <= 2 * _STRIP_BYTES or target.stride(1) == 1:
        return target.copy_(source)
    height = source.shape[2]
    rows = max(1, _STRIP_BYTES * height // size)
    for r in range(0, height, rows):
        target[:, :, r : r + rows].copy_(source[:, :, r : r + rows])
    return target
