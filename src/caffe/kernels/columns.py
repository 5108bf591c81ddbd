"""Convolutions on a GPU as matrix products over columns: what each output is the product of.

Shapes: x (N, C, H, W), weights (O, C / g, kh, kw), y (N, O, H', W') for g groups; a transposed
convolution (Deconvolution) takes y to x by the same weights, so its "x" is the y of these
functions.  K is C / g kh kw, in the order of the weights in memory.

:func:`rows` and :func:`from_rows` are for one group, with a row for each position; the others take
any number of groups, with a column for each position.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F

from caffe.kernels.layout import is_channels_last

__all__ = [
    "Settings",
    "as_weights",
    "from_rows",
    "matrix",
    "numbers",
    "out_sizes",
    "product",
    "rows",
    "transposed",
    "weight_gradient",
]

CHUNK_NUMBERS = 1 << 24  # of the columns that weight_gradient holds at a time: 64 MB


class Settings(NamedTuple):
    """In the order in which PyTorch's operators take them."""

    stride: list[int]
    pad: list[int]
    dilation: list[int]
    transposed: bool
    output_pad: list[int]
    group: int


# Sizes and layouts --------------------------------------------------------------------------------


def out_sizes(x: torch.Tensor, w: torch.Tensor, s: Settings) -> tuple[int, int]:
    """Height and width of the output of a convolution, or of a transposed one."""
    axes = zip(x.shape[2:], s.pad, _extents(w, s), s.stride)
    if s.transposed:
        height, width = ((n - 1) * d + e - 2 * p for n, p, e, d in axes)
    else:
        height, width = ((n + 2 * p - e) // d + 1 for n, p, e, d in axes)
    return height, width


def numbers(x: torch.Tensor, w: torch.Tensor, s: Settings) -> int:
    """How many numbers all columns are."""
    positions = x.shape[2:] if s.transposed else out_sizes(x, w, s)
    return x.shape[0] * math.prod(positions) * w[0].numel() * s.group


def matrix(w: torch.Tensor) -> torch.Tensor:
    """The weights as (O, K), a view: K runs over C, kh, kw, or kh, kw, C as they lie."""
    return (w.permute(0, 2, 3, 1) if is_channels_last(w) else w).reshape(len(w), -1)


def as_weights(gradient: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """The reverse of :func:`matrix` for a gradient."""
    o, c, kh, kw = w.shape
    if is_channels_last(w):
        return gradient.view(o, kh, kw, c).permute(0, 3, 1, 2)
    return gradient.view(o, c, kh, kw)


def _extents(w: torch.Tensor, s: Settings) -> list[int]:
    """How far a kernel reaches, with its holes."""
    return [d * (k - 1) + 1 for k, d in zip(w.shape[2:], s.dilation)]


def _windows(x: torch.Tensor, w: torch.Tensor, s: Settings) -> torch.Tensor:
    """What each output sees, a view of ``x`` with its padding: N, C, H', W', kh, kw."""
    kh, kw = _extents(w, s)
    if any(s.pad):
        x = F.pad(x, (s.pad[1], s.pad[1], s.pad[0], s.pad[0]))
    windows = x.unfold(2, kh, s.stride[0]).unfold(3, kw, s.stride[1])
    return windows[..., :: s.dilation[0], :: s.dilation[1]]


# One group: a row for each position ---------------------------------------------------------------


def rows(x: torch.Tensor, w: torch.Tensor, s: Settings) -> torch.Tensor:
    """(N H' W', K)."""
    order = (0, 2, 3, 4, 5, 1) if is_channels_last(w) else (0, 2, 3, 1, 4, 5)
    return _windows(x, w, s).permute(order).reshape(-1, w[0].numel())


def from_rows(values: torch.Tensor, x: torch.Tensor, w: torch.Tensor, s: Settings) -> torch.Tensor:
    """The adjoint of :func:`rows`, in the layout of ``x``."""
    n, (kh, kw) = x.shape[0], w.shape[2:]
    if is_channels_last(w):
        values = values.view(len(values), kh, kw, -1).permute(0, 3, 1, 2).reshape(len(values), -1)
    of_items = values.view(n, len(values) // n, -1).transpose(1, 2)
    pad, stride = tuple(s.pad), tuple(s.stride)
    return _laid_out(F.fold(of_items, tuple(x.shape[2:]), (kh, kw), padding=pad, stride=stride), x)


def _laid_out(y: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    last = not like.is_contiguous() and like.is_contiguous(memory_format=torch.channels_last)
    return y.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


# Any number of groups: a column for each position -------------------------------------------------


def product(
    x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, s: Settings, relu: bool
) -> torch.Tensor:
    """The convolution of ``x``, and a ReLU after it on request."""
    if s.group == 1:
        seen, weights = rows(x, w, s), matrix(w)
        y = seen @ weights.t() if b is None else torch.addmm(b, seen, weights.t())
        y = y.relu_() if relu else y
        return y.view(x.shape[0], *out_sizes(x, w, s), len(w)).permute(0, 3, 1, 2)
    seen = _columns(_windows(x, w, s), w, s.group)
    y = torch.bmm(matrix(w).view(s.group, -1, seen.shape[1]), seen)
    y = y.view(len(w), x.shape[0], *out_sizes(x, w, s)).transpose(0, 1)
    return _with_bias(_laid_out(y, x), b, relu)


def transposed(
    x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, s: Settings, relu: bool
) -> torch.Tensor:
    """The transposed convolution of ``x``, and a ReLU after it on request."""
    n, c = x.shape[:2]
    weights = w.reshape(s.group, c // s.group, -1).transpose(
        1, 2
    )  # of a group: (O / g kh kw, C / g)
    images = x.reshape(n * s.group, c // s.group, -1)
    weights = weights.expand(n, *weights.shape).reshape(n * s.group, *weights.shape[1:])
    parts = torch.bmm(weights, images).view(n, -1, images.shape[2])
    pad, stride, dilation = tuple(s.pad), tuple(s.stride), tuple(s.dilation)
    y = F.fold(parts, out_sizes(x, w, s), tuple(w.shape[2:]), dilation, pad, stride)
    return _with_bias(_laid_out(y, x), b, relu)


def weight_gradient(
    dy: torch.Tensor, x: torch.Tensor, w: torch.Tensor, s: Settings
) -> torch.Tensor:
    """The gradient of the weights of a convolution, or of a transposed one, in the layout of ``w``.

    At most :data:`CHUNK_NUMBERS` numbers of columns are held at a time, or those of one row of
    outputs.  The products of several parts are added up in float32 at least.
    """
    if s.transposed:
        dy, x = x, dy
    found: torch.Tensor | None = None
    for seen, diffs in _parts(x, dy, w, s):
        columns = _columns(seen, w, s.group).transpose(1, 2)
        wanted = diffs.unflatten(1, (s.group, -1)).permute(1, 2, 0, 3, 4).flatten(2)
        if found is None:
            found = torch.bmm(wanted, columns)
        elif found.dtype == wanted.dtype != torch.bfloat16:
            found.baddbmm_(wanted, columns)
        else:
            found = found.float().add_(torch.bmm(wanted, columns))
    if found is None:
        return torch.zeros_like(w)
    return as_weights(found.flatten(0, 1), w)


def _parts(
    x: torch.Tensor, dy: torch.Tensor, w: torch.Tensor, s: Settings
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Windows of ``x`` and the gradients that meet them: some items, or some rows of one."""
    height = dy.shape[2]
    of_row = max(1, x.shape[1] * math.prod(w.shape[2:]) * dy.shape[3])
    items = max(1, CHUNK_NUMBERS // max(1, of_row * height))
    lines = height if items > 1 else max(1, CHUNK_NUMBERS // of_row)
    for first in range(0, len(x), items):
        seen, diffs = _windows(x[first : first + items], w, s), dy[first : first + items]
        for row in range(0, height, lines):
            part = slice(row, row + lines)
            yield seen[:, :, part], diffs[:, :, part]


def _columns(windows: torch.Tensor, w: torch.Tensor, group: int) -> torch.Tensor:
    """The columns of windows N, C, H', W', kh, kw: (g, K, N H' W')."""
    order = (1, 5, 6, 2, 0, 3, 4) if is_channels_last(w) else (1, 2, 5, 6, 0, 3, 4)
    of_groups = windows.unflatten(1, (group, -1)).permute(order)
    return of_groups.reshape(group, w[0].numel(), -1)


def _with_bias(y: torch.Tensor, b: torch.Tensor | None, relu: bool) -> torch.Tensor:
    if b is not None:
        y += b[:, None, None]
    return y.relu_() if relu else y
