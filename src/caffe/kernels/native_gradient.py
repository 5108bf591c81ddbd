"""The gradient of a convolution's weights on the native kernels, where that is the faster way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch

from caffe import kernels, native
from caffe.native import weight_gradient

__all__ = ["compute", "takes"]

# What this takes, in nanoseconds, as measured: a product, laying out a number of x and one of dy, a
# weight's way back into Caffe's order, and a call; and a product of oneDNN's.
_PRODUCT, _LAY_X, _LAY_DY, _WEIGHT, _CALL = 1 / 125, 0.5, 0.35, 1.2, 15_000
_PRODUCT_ONEDNN = 1 / 65
_TILE = 16  # channels


class Geometry(Protocol):
    """What decides of :class:`caffe.kernels.convolution.Geometry`."""

    @property
    def kernel(self) -> Sequence[int]: ...
    @property
    def stride(self) -> Sequence[int]: ...
    @property
    def pad(self) -> Sequence[int]: ...
    @property
    def dilation(self) -> Sequence[int]: ...
    @property
    def group(self) -> int: ...
    @property
    def bottom(self) -> Sequence[int]: ...
    @property
    def top(self) -> Sequence[int]: ...


def takes(g: Geometry, x: torch.Tensor, dy: torch.Tensor) -> bool:
    """Whether the native kernel computes the gradient, and is the faster one: for float32 on the
    CPU in channels-last memory."""
    if not (kernels.enabled() and native.available() and len(g.kernel) == 2 and x.numel()):
        return False
    if not all(t.is_cpu and t.dtype == torch.float32 and _is_last(t) for t in (x, dy)):
        return False
    return max(g.kernel) <= 64 and _native_time(g) < _onednn_time(g)


def compute(
    g: Geometry, x: torch.Tensor, dy: torch.Tensor, bias: bool, out: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The gradients of weights and, on request, bias; the weights' in ``out`` where it is given."""
    shape = g.top[1], g.bottom[1] // g.group, *g.kernel
    settings = g.stride, g.pad, g.dilation, g.group
    return weight_gradient.of_weights(x, dy, shape, *settings, bias=bias, out=out)


def _native_time(g: Geometry) -> float:
    """In nanoseconds of one thread."""
    tiles = [-(-n // (g.group * _TILE)) * _TILE for n in (g.bottom[1], g.top[1])]
    positions, phases = g.bottom[0], 1
    for size, out, k, s, p, d in zip(
        g.bottom[2:], g.top[2:], g.kernel, g.stride, g.pad, g.dilation
    ):
        # The columns between two rows of a grid are multiplied too.
        positions *= max(out, out + (d * (k - 1) - p) // s, -(-size // s) - (-p // s))
        phases *= min(s, k)
    products = math.prod(g.kernel) * math.prod(tiles)
    a_position = products * _PRODUCT + phases * tiles[0] * _LAY_X + tiles[1] * _LAY_DY
    return g.group * (positions * a_position + products * _WEIGHT) + _CALL


def _onednn_time(g: Geometry) -> float:
    inputs = g.bottom[1] // g.group * math.prod(g.kernel)
    return math.prod(g.top) * inputs * _PRODUCT_ONEDNN


def _is_last(x: torch.Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last)
