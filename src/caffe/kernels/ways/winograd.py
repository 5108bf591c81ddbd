"""3x3 convolutions by Winograd's minimal filtering (kernels/winograd.py)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch

from caffe import native
from caffe.kernels import native_convolution, winograd
from caffe.kernels.layout import channels_last_memory, nchw, nhwc
from caffe.kernels.pooling import PooledDiff
from caffe.kernels.ways import Call, Geometry, Grads, Mask, Way
from caffe.kernels.window import Block

__all__ = ["Winograd"]

_PASSING_USES = 6  # of weights that are packed for one pass: until a program is made at the latest


class Winograd(Way):
    """3x3, stride 1, pad 1, images and channels large enough (kernels/winograd.py)."""

    name = "winograd"
    in_blocks = True

    def applies(self, g: Geometry, weight: torch.Tensor) -> bool:
        same = list(g.kernel) == [3, 3] and list(g.pad) == [1, 1]
        return g.unit and same and winograd.applies(weight, g.top[2], g.top[3])

    def forward(
        self,
        call: Call,
        relu: bool = False,
        out: torch.Tensor | None = None,
        blocks: Sequence[Block] | None = None,
    ) -> torch.Tensor:
        out = channels_last_memory(call.geometry.top, out)
        u = self._prepared(call)
        for image, y in zip(nhwc(call.x), nhwc(out)):
            for block in blocks or (None,):
                winograd.forward(image, u, call.bias, y, relu, block)
        return out

    def _strip(self, call: Call, relu: bool, y: torch.Tensor, block: Block) -> None:
        u = self._prepared(call)
        for image, rows in zip(nhwc(call.x), nhwc(y)):
            winograd.forward(image, u, call.bias, rows, relu, block, above=block[0])

    def _gradients(
        self, call: Call, dy: torch.Tensor, mask: Mask
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        diffs, dx = nhwc(dy), None
        if mask[0] and native.available():
            dx = self._native_bottom(call, diffs)
            mask = [False, *mask[1:]]
        rest = self._from_rows(call, lambda i, first, end: diffs[i, first:end], mask)
        return rest[0] if dx is None else dx, rest[1]

    @staticmethod
    def _native_bottom(call: Call, diffs: torch.Tensor) -> torch.Tensor:
        """The gradient of x: a convolution with the weights turned round."""
        turned = call.weight.transpose(0, 1).flip(2, 3).contiguous()
        prepared = winograd.prepare(turned, passing=True)
        dx = native_convolution.bottom_memory(call)
        for d, target in zip(diffs, nhwc(dx)):
            winograd.forward(d, prepared, None, target)
        return dx

    def backward_pooled(self, call: Call, dy: PooledDiff, mask: Mask) -> Grads:
        return *self._from_rows(call, dy.rows, mask), dy.sums() if mask[2] else None

    def _from_rows(
        self, call: Call, rows: Callable[[int, int, int], torch.Tensor], mask: Mask
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The gradients of x and weights where ``rows`` gives an image's rows of the output's."""
        u = self._transformed(call)
        images = nhwc(call.x)
        dx = nhwc(native_convolution.bottom_memory(call)) if mask[0] else None
        dw = torch.zeros(call.weight.shape) if mask[1] else None
        if mask[0] or mask[1]:
            for i in range(len(images)):
                of_image = functools.partial(rows, i)
                winograd.backward(images[i], u, of_image, None if dx is None else dx[i], dw)
        return None if dx is None else nchw(dx), dw

    @staticmethod
    def _prepared(call: Call) -> winograd.Prepared:
        # Where they stay they are used again; a net that soon becomes a program has no need of
        # packed ones, four times the weights' memory.
        uses: list[int] = call.storage.cached("winograd uses", lambda: [0])
        uses[0] += 1
        if call.learns or (uses[0] <= _PASSING_USES and native.available()):
            return winograd.prepare(call.weight, passing=True)
        return call.storage.cached("winograd forward", lambda: winograd.prepare(call.weight))

    @staticmethod
    def _transformed(call: Call) -> torch.Tensor:
        if call.learns:  # an update is near, and they are 24/9 of the weights' memory
            return winograd.transform_weights(call.weight, passing=True)
        return call.storage.cached("winograd", lambda: winograd.transform_weights(call.weight))
