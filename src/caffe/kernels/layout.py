"""The two orders of a map's numbers in memory: Caffe's own, and channels last."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["channels_last_memory", "is_channels_last", "nchw", "nhwc"]


def is_channels_last(x: torch.Tensor) -> bool:
    """Whether ``x`` lies so and in no other order: a map of one pixel lies in both."""
    return not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)


def nhwc(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) in any memory format -> contiguous (N, H, W, C), copied only if need be."""
    return x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)


def nchw(x: torch.Tensor) -> torch.Tensor:
    """(N, H, W, C) as (N, C, H, W), in the same memory."""
    return x.permute(0, 3, 1, 2)


def channels_last_memory(shape: Sequence[int], out: torch.Tensor | None) -> torch.Tensor:
    """``out`` where it is laid out so, else new memory of the shape (N, C, H, W)."""
    if out is not None and out.is_contiguous(memory_format=torch.channels_last):
        return out
    n, c, h, w = shape
    return nchw(torch.empty(n, h, w, c))
