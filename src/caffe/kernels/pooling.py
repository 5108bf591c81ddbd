"""MAX pooling of large maps on the CPU, where each maximum is remembered in two bytes.

PyTorch gives the places of the maxima as 64-bit numbers: twice the memory of the output.  Here its
operator runs strip by strip, and what is kept of a place is its distance from the first input row
of its window: a 16-bit number.  The gradient comes in strips as well (:class:`PooledDiff`), so the
kernels below a pooling can take it row by row, and the whole, mostly zeros, need not be kept.

Windows do not overlap and reach every input: the kernel is the stride.  Maps are (N, C, H, W) in
channels-last memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

__all__ = ["PooledDiff", "applies", "fits", "forward", "forward_into", "memory"]

_LEAST_NUMBERS = 1 << 20
_FARTHEST = 1 << 15  # what 16 bits can tell
_STRIP_BYTES = 2 << 20  # of the larger map
aten = torch.ops.aten


def applies(
    x: torch.Tensor, kernel: Sequence[int], stride: Sequence[int], out: Sequence[int]
) -> bool:
    """Whether :func:`forward` takes this: ``x`` pooled without a pad to a map of ``out``."""
    if not x.is_cpu or x.dtype != torch.float32:
        return False
    return fits(x.shape, kernel, stride, out) and x.is_contiguous(memory_format=torch.channels_last)


def fits(
    shape: Sequence[int], kernel: Sequence[int], stride: Sequence[int], out: Sequence[int]
) -> bool:
    """:func:`applies` for a map of ``shape`` in channels-last memory."""
    if math.prod(shape) < _LEAST_NUMBERS:
        return False
    height, width = shape[2:]
    covered = out[0] * stride[0] >= height and out[1] * stride[1] >= width
    near = list(kernel) == list(stride) and kernel[0] * width <= _FARTHEST
    return covered and near


def forward(
    x: torch.Tensor, kernel: Sequence[int], out: Sequence[int], ceil_mode: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The maxima (N, C, H', W') and their places, int16."""
    y, places = memory((*x.shape[:2], *out))
    forward_into(x, kernel, y, places, ceil_mode)
    return y, places


def memory(shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """For maxima of ``shape`` and their places."""
    y = torch.empty(tuple(shape), memory_format=torch.channels_last)
    return y, torch.empty_like(y, dtype=torch.int16)


def forward_into(
    x: torch.Tensor,
    kernel: Sequence[int],
    y: torch.Tensor,
    places: torch.Tensor,
    ceil_mode: bool,
) -> None:
    """Write maxima and places; ``x`` may be rows of a map from the first of a window on."""
    n, c, height, width = x.shape
    k, out = kernel[0], y.shape[2:]
    rows = max(1, _STRIP_BYTES // (4 * c * width * k))
    base = (torch.arange(rows) * (k * width))[:, None]
    for i in range(n):
        for r in range(0, out[0], rows):
            end = min(out[0], r + rows)
            part = x[i : i + 1, :, k * r : min(height, k * end)]
            best, index = aten.max_pool2d_with_indices(
                part, kernel, kernel, [0, 0], [1, 1], ceil_mode
            )
            y[i : i + 1, :, r:end] = best
            places[i : i + 1, :, r:end] = index.sub_(base[: end - r])


class PooledDiff(NamedTuple):
    """The gradient of a pooling's bottom, of ``shape``, as what it follows from.

    ``g`` is the gradient of the maxima and ``places`` is where they were; with ``maxima`` it has
    gone back through a ReLU as well, whose top the pooling's bottom is.
    """

    g: torch.Tensor
    places: torch.Tensor
    maxima: torch.Tensor | None
    kernel: list[int]
    ceil_mode: bool
    shape: tuple[int, ...]

    def rows(self, image: int, first: int, end: int) -> torch.Tensor:
        """Rows ``first`` to ``end`` of one image: (rows, W, C), contiguous."""
        c, height, width = self.shape[1:]
        k = self.kernel[0]
        a, b = first // k, -(-end // k)
        g, places = (t[image : image + 1, :, a:b] for t in (self._last(self.g), self.places))
        if self.maxima is not None:
            maxima = self._last(self.maxima)[image : image + 1, :, a:b]
            g = aten.threshold_backward(g, maxima, 0.0)
        index = places.long().add_((torch.arange(b - a) * (k * width))[:, None])
        size = (1, c, min(height, k * b) - k * a, width)
        like = torch.empty(size, memory_format=torch.channels_last)  # its numbers are not read
        d = aten.max_pool2d_with_indices_backward(
            g, like, self.kernel, self.kernel, [0, 0], [1, 1], self.ceil_mode, index
        )
        return d[0].permute(1, 2, 0)[first - k * a : end - k * a]

    def whole(self) -> torch.Tensor:
        """All of it, in new memory."""
        n, c, height, width = self.shape
        whole = torch.empty(n, height, width, c)
        step = max(1, _STRIP_BYTES // (4 * c * width * self.kernel[0])) * self.kernel[0]
        for i in range(n):
            for r in range(0, height, step):
                end = min(height, r + step)
                whole[i, r:end] = self.rows(i, r, end)
        return whole.permute(0, 3, 1, 2)

    def sums(self) -> torch.Tensor:
        """The sum for each channel: the gradient of a bias."""
        if self.maxima is None:
            return self.g.sum((0, 2, 3))
        total = torch.zeros(self.shape[1])
        step = max(1, _STRIP_BYTES // (4 * self.g[:, :, 0].numel()))
        for g, maxima in zip(self.g.split(step, 2), self.maxima.split(step, 2)):
            total += aten.threshold_backward(g, maxima, 0.0).sum((0, 2, 3))
        return total

    @staticmethod
    def _last(x: torch.Tensor) -> torch.Tensor:
        return x.contiguous(memory_format=torch.channels_last)
