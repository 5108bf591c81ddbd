"""Convolution over more spatial axes than PyTorch has (four or more), one kernel tap at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F


def convolve_nd(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
    group: int,
) -> torch.Tensor:
    """x: (batch, channels, spatial...), weight: (out, channels / group, kernel...)."""
    x = F.pad(x, [p for axis in reversed(pad) for p in (axis, axis)])
    kernel = weight.shape[2:]
    sizes = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation)
    ]
    x = x.unflatten(1, (group, -1))
    weight = weight.unflatten(0, (group, -1))
    y = x.new_zeros(x.shape[0], group, weight.shape[1], *sizes)
    for tap, window in _taps(kernel, stride, dilation, sizes):
        y = y + torch.einsum("ngi...,goi->ngo...", x[window], weight[tap])
    return _with_bias(y.flatten(1, 2), bias)


def deconvolve_nd(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int],
    group: int,
) -> torch.Tensor:
    """x: (batch, channels, spatial...), weight: (channels, out / group, kernel...)."""
    kernel, sizes = weight.shape[2:], x.shape[2:]
    full = [s * (n - 1) + d * (k - 1) + 1 for n, k, s, d in zip(sizes, kernel, stride, dilation)]
    x = x.unflatten(1, (group, -1))
    weight = weight.unflatten(0, (group, -1))
    y = x.new_zeros(x.shape[0], group, weight.shape[2], *full)
    for tap, window in _taps(kernel, stride, dilation, sizes):
        y[window] += torch.einsum("ngi...,gio->ngo...", x, weight[tap])
    inner: tuple[Any, ...] = (..., *(slice(p, n - p) for p, n in zip(pad, full)))
    return _with_bias(y.flatten(1, 2)[inner], bias)


def _taps(
    kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], sizes: Sequence[int]
) -> Iterator[tuple[tuple, tuple]]:
    """For each kernel position: its index into the weights, and what it touches."""
    for position in itertools.product(*(range(k) for k in kernel)):
        starts = [i * d for i, d in zip(position, dilation)]
        window = (slice(a, a + s * (n - 1) + 1, s) for a, s, n in zip(starts, stride, sizes))
        yield (..., *position), (..., *window)


def _with_bias(y: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    if bias is None:
        return y
    return y + bias.reshape(-1, *([1] * (y.ndim - 2)))
