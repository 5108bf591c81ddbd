"""Bilinear upsampling as two matrix products.

FCN's Deconvolution layers hold one kernel for every channel, the outer product of two short
filters, and nothing off the diagonal of the channels.  Along one axis such a layer is a banded
matrix, so the whole is ``y = A x B'`` for each channel: a few million multiplications where the
general operator takes hundreds, and its gradient is ``A' dy B``.  Equal to the general operator to
float32 rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F

__all__ = ["Bands", "Filters", "backward", "bands", "forward", "same", "separate"]


class Filters(NamedTuple):
    """The two factors of a kernel (kh, kw), on the CPU, float32."""

    rows: torch.Tensor
    columns: torch.Tensor


class Bands(NamedTuple):
    """``A`` (H', H) and ``B`` (W', W) for an input of ``size`` (H, W), on the compute device."""

    size: tuple[int, int]
    rows: torch.Tensor
    columns: torch.Tensor


def separate(kernels: torch.Tensor) -> Filters | None:
    """The factors that all of the kernels (C, 1, kh, kw) are the outer product of.

    None where the channels differ or a kernel has none: the product must give every number back to
    float32 rounding.
    """
    kernels = kernels.detach().cpu().double()
    first = kernels[0, 0]
    if not bool((kernels == first).all()) or not bool(torch.isfinite(first).all()):
        return None
    peak = int(first.abs().argmax())
    i, j = divmod(peak, first.shape[1])
    top = first[i, j]
    if float(top) == 0:
        return None
    rows, columns = first[:, j], first[i] / top
    if not bool(((torch.outer(rows, columns) - first).abs() <= 2e-7 * top.abs()).all()):
        return None
    return Filters(rows.float(), columns.float())


def same(a: Filters | None, b: Filters | None) -> bool:
    """Whether two layers' filters are equal."""
    if a is None or b is None:
        return a is b
    return torch.equal(a.rows, b.rows) and torch.equal(a.columns, b.columns)


def bands(
    filters: Filters,
    stride: Sequence[int],
    pad: Sequence[int],
    size: tuple[int, int],
    device: torch.device,
) -> Bands:
    """The matrices of a Deconvolution with these filters, for an input of ``size`` (H, W)."""
    result = []
    for taps, s, p, n in zip(filters, stride, pad, size):
        spread = F.conv_transpose1d(torch.eye(n)[:, None], taps[None, None], stride=s)
        whole = spread[:, 0].t()  # (s (n - 1) + k, n): column i holds the taps from row s i on
        result.append(whole[p : len(whole) - p].contiguous().to(device))
    return Bands(size, *result)


def forward(x: torch.Tensor, bands: Bands) -> torch.Tensor:
    """(N, C, H, W) to (N, C, H', W'), float32."""
    (n, c, h, w), a, b = x.shape, bands.rows, bands.columns
    wide = torch.mm(x.float().reshape(n * c * h, w), b.t()).view(n * c, h, len(b))
    return torch.bmm(a.expand(n * c, *a.shape), wide).view(n, c, len(a), len(b))


def backward(dy: torch.Tensor, bands: Bands) -> torch.Tensor:
    """The gradient of x (N, C, H, W), float32."""
    (n, c), a, b = dy.shape[:2], bands.rows, bands.columns
    planes = dy.float().reshape(n * c, *dy.shape[2:])
    narrow = torch.bmm(a.t().expand(n * c, a.shape[1], a.shape[0]), planes)  # (N C, H, W')
    return torch.mm(narrow.view(-1, len(b)), b).view(n, c, a.shape[1], b.shape[1])
