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

from caffe import kernels
from caffe.kernels.scratch import buffer
from caffe.storage import Storage

__all__ = [
    "Bands",
    "Filters",
    "backward",
    "bands",
    "diagonal",
    "forward",
    "region",
    "same",
    "separate",
]

# Blocks of so many times the stride, along the rows and along the columns.
_ROW_STEPS, _COLUMN_STEPS = 2, 8


class Filters(NamedTuple):
    """The two factors of a kernel (kh, kw), on the CPU, float32."""

    rows: torch.Tensor
    columns: torch.Tensor


class Bands(NamedTuple):
    """``A`` (H', H) and ``B`` (W', W) for an input of ``size`` (H, W), on the compute device."""

    size: tuple[int, int]
    rows: torch.Tensor
    columns: torch.Tensor


def diagonal(weight: torch.Tensor, storage: Storage) -> torch.Tensor | None:
    """The (C, 1, kh, kw) kernels of a (C, C, kh, kw) deconvolution that mixes no channels.

    None where it does mix them.  FCN's upsampling is of this kind; run with a group for each
    channel it takes a C-th of the work, and the terms left out are exact zeros.
    """
    if not kernels.enabled() or weight.ndim != 4 or weight.shape[0] != weight.shape[1]:
        return None
    if len(weight) == 1:
        return None

    def extract() -> torch.Tensor | None:
        own = torch.diagonal(weight, dim1=0, dim2=1).permute(2, 0, 1).unsqueeze(1)
        same = torch.count_nonzero(weight) == torch.count_nonzero(own)
        return own.contiguous() if same else None

    return storage.cached("diagonal", extract)


def separate(own: torch.Tensor) -> Filters | None:
    """The factors that all of the kernels ``own``, (C, 1, kh, kw), are the outer product of.

    None where the channels differ or a kernel has none: the product must give every number back to
    float32 rounding.
    """
    own = own.detach().cpu().double()
    first = own[0, 0]
    if not bool((own == first).all()) or not bool(torch.isfinite(first).all()):
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


def region(
    x: torch.Tensor,
    filters: Filters,
    stride: Sequence[int],
    first: Sequence[int],
    size: Sequence[int],
) -> torch.Tensor:
    """Of the output (N, C, H', W') without a pad, ``size`` rows and columns from ``first`` on, in
    contiguous memory.  ``x`` (N, C, H, W) must be finite: a block's zeros meet all that it reads.

    The outputs go in blocks whose products with the same small matrix they are: first along the
    columns, then along the rows, where each block is written once and not read again.
    """
    n, c, height, width = x.shape
    rows = _blocks(filters.rows, stride[0], first[0], size[0], _ROW_STEPS)
    columns = _blocks(filters.columns, stride[1], first[1], size[1], _COLUMN_STEPS)
    planes = F.pad(
        x.reshape(n * c, height, width),
        (-columns.first, columns.end - width, -rows.first, rows.end - height),
    )
    planes, high, padded = planes.contiguous(), rows.end - rows.first, columns.end - columns.first
    lines = n * c * high
    step, reads, count = columns.step, columns.matrix.shape[1], columns.number
    wide = buffer("wide", lines, count * len(columns.matrix))
    length = wide.shape[1]
    torch.bmm(
        planes.as_strided((count, lines, reads), (step, padded, 1)),
        columns.matrix.t().expand(count, reads, len(columns.matrix)),
        out=wide.as_strided((count, lines, len(columns.matrix)), (len(columns.matrix), length, 1)),
    )
    y = torch.empty(n, c, *size)
    each, reads = rows.matrix.shape
    whole = size[0] // each
    rest = size[0] - whole * each
    for plane, target in zip(wide.view(n * c, high * length), y.view(n * c, *size)):
        windows = plane.as_strided(
            (rows.number, reads, size[1]), (rows.step * length, length, 1), plane.storage_offset()
        )
        if whole:
            torch.bmm(
                rows.matrix.expand(whole, each, reads),
                windows[:whole],
                out=target[: whole * each].view(whole, each, size[1]),
            )
        if rest:
            torch.mm(rows.matrix[:rest], windows[whole], out=target[whole * each :])
    return y


class _Blocks(NamedTuple):
    """Outputs along one axis in ``number`` blocks.

    Each is ``matrix`` times what it reads: the first from input ``first`` on, each other ``step``
    inputs later, up to ``end`` in all.
    """

    first: int
    end: int
    step: int
    number: int
    matrix: torch.Tensor


def _blocks(taps: torch.Tensor, stride: int, first: int, size: int, steps: int) -> _Blocks:
    """``size`` outputs from ``first`` on, in blocks of ``steps`` times the stride."""
    k, each = len(taps), steps * stride
    begin, last = -((k - 1 - first) // stride), (first + each - 1) // stride
    reads = torch.arange(begin, last + 1)
    tap = torch.arange(first, first + each)[:, None] - stride * reads  # the one that joins the two
    matrix = torch.where((tap >= 0) & (tap < k), taps[tap.clamp(0, k - 1)], 0.0)
    number = -(-size // each)
    return _Blocks(begin, begin + (number - 1) * steps + matrix.shape[1], steps, number, matrix)
