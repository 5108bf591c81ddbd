"""What a way to compute a 2-D convolution on the CPU is given, and what it gives.

Each way has a file here; kernels/convolution.py has them in a table.  Every way takes x
(N, C, H, W) in any memory format and Caffe's weights (O, C, kh, kw), and gives float32 results
equal to the general one's to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import torch

from caffe.kernels.layout import nchw
from caffe.kernels.pooling import PooledDiff
from caffe.kernels.scratch import buffer
from caffe.kernels.window import Block
from caffe.storage import Storage

__all__ = ["STRIP_ROWS", "Call", "Geometry", "Grads", "Mask", "Way"]

_FEW_NUMBERS = 1 << 15
_STRIP_NUMBERS, STRIP_ROWS = 1 << 21, 16  # of a strip, at least

Mask = Sequence[bool]  # which gradients are wanted: of x, weights and bias
Grads = tuple["torch.Tensor | None", "torch.Tensor | None", "torch.Tensor | None"]


class Geometry(NamedTuple):
    """What decides: the settings of the convolution and the shapes of this call."""

    kernel: Sequence[int]
    stride: Sequence[int]
    pad: Sequence[int]
    dilation: Sequence[int]
    group: int
    bottom: Sequence[int]  # N, C, H, W
    top: Sequence[int]

    @property
    def unit(self) -> bool:
        """Whether nothing is strided, dilated or grouped."""
        return self.plain and list(self.stride) == [1, 1]

    @property
    def few_columns(self) -> bool:
        """Whether there is one small image: what its outputs are products of are few numbers."""
        taps = self.bottom[1] // self.group * math.prod(self.kernel)
        return self.top[0] == 1 and taps * math.prod(self.top[2:]) <= _FEW_NUMBERS

    @property
    def plain(self) -> bool:
        """Whether nothing is dilated or grouped."""
        return list(self.dilation) == [1, 1] and self.group == 1


class Call(NamedTuple):
    """One convolution: x (N, C, H, W) in any memory format and Caffe's weights (O, C, kh, kw).

    ``storage`` holds the weights and what is derived from them, ``diff`` their gradient and
    ``bottom_diff`` that of x: their spare memory may be used for new ones.  With ``learns`` the
    weights will soon be others.
    """

    geometry: Geometry
    x: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    storage: Storage
    diff: Storage | None = None
    bottom_diff: Storage | None = None
    learns: bool = False


class Way:
    """A way to compute a convolution: a subclass, and an entry in ``WAYS`` of
    kernels/convolution.py."""

    name: ClassVar[str]
    in_blocks: ClassVar[bool] = False  # whether a part of the output can be computed by itself

    def applies(self, g: Geometry, weight: torch.Tensor) -> bool:
        """Whether the way is right for this geometry, and faster than those after it."""
        return True

    def forward(
        self,
        call: Call,
        relu: bool = False,
        out: torch.Tensor | None = None,
        blocks: Sequence[Block] | None = None,
    ) -> torch.Tensor:
        """The convolution, with a ReLU after it on request.

        ``out`` is memory of the shape ``geometry.top`` that may be written and returned.  With
        ``blocks`` (only where :attr:`in_blocks`) those blocks of the output are computed, one by
        one; a block's values do not depend on which others are asked for.  The rest of the result
        is ``out``'s, or undefined.
        """
        y = self._whole(call)
        return y.relu_() if relu else y

    def backward(self, call: Call, dy: torch.Tensor, mask: Mask) -> Grads:
        """The gradients of x, weights and bias, those that ``mask`` asks for."""
        dx, dw = self._gradients(call, dy, mask)
        db = dy.sum((0, 2, 3)) if mask[2] else None
        return dx, None if dw is None else dw.view(call.weight.shape), db

    def strips(self, call: Call, relu: bool, step: int) -> Iterator[tuple[int, int, torch.Tensor]]:
        """The convolution in strips of rows, from the first on: (first, end, those rows), which are
        (N, O, end - first, W') in channels-last memory that the next strip may use again.  Each
        begins at a multiple of ``step``.  Only where :attr:`in_blocks`."""
        g, width = call.geometry, call.geometry.top[3]
        rows = -(-self.strip_rows(g) // step) * step
        for first in range(0, g.top[2], rows):
            end = min(first + rows, g.top[2])
            y = nchw(buffer("strip", g.top[0], end - first, width, g.top[1]))
            self._strip(call, relu, y, (first, end, 0, width))
            yield first, end, y

    def strip_rows(self, g: Geometry) -> int:
        """How many rows of the output are best computed together."""
        return max(STRIP_ROWS, _STRIP_NUMBERS // (g.top[3] * g.top[0] * g.top[1]))

    def _strip(self, call: Call, relu: bool, y: torch.Tensor, block: Block) -> None:
        """Write whole rows of the output, a block, into ``y``."""
        raise TypeError(f"{type(self).__name__} cannot compute a part of its output")

    def backward_pooled(self, call: Call, dy: PooledDiff, mask: Mask) -> Grads:
        """:meth:`backward` for a gradient that comes from a pooling."""
        return self.backward(call, dy.whole(), mask)

    def _whole(self, call: Call) -> torch.Tensor:
        """The convolution in new memory."""
        raise TypeError(f"{type(self).__name__} must define forward or _whole")

    def _gradients(
        self, call: Call, dy: torch.Tensor, mask: Mask
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The gradients of x and weights."""
        raise TypeError(f"{type(self).__name__} must define backward or _gradients")
