"""Unpooling: the reverse of a pooling (DeconvNet)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe.errors import LayerError
from caffe.layer import Shape, Tensors, register
from caffe.layer._kernel import height_width, require_positive
from caffe.layer.extensions._unpool import MaskReader


@register("Unpooling")
class Unpooling(MaskReader):
    """N x C x H x W to N x C x H' x W', for a pooling with this ``kernel_size`` and ``stride``.

    The size is ``unpool_size``, or ``unpool_h`` and ``unpool_w``; else whichever is larger of
    ``(H - 1) stride + kernel`` and ``H stride + 1``.

    MAX: with a second bottom, the mask, as :class:`~caffe.layer.extensions._unpool.MaskReader`;
    without one, each value goes to the first pixel of its window, the last in raster order staying
    where windows begin at one pixel.  AVE: each value is spread evenly over its window.  TILE: it
    fills the window.  Overlapping windows add up.

    The gradient of TILE is the sum over the window; DeconvNet divided it by the window's area.
    """

    remedy = "set unpool_h and unpool_w to that"

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.unpooling_param
        self.method = p.UnpoolMethod.Name(p.unpool)
        kernel = self._pair("kernel_size", ("kernel_h", "kernel_w"))
        if kernel is None:
            raise self.fail("needs kernel_size, or both kernel_h and kernel_w", LayerError)
        self.kernel = kernel
        self.stride = self._pair("stride", ("stride_h", "stride_w")) or [p.stride] * 2
        for field, sizes in (("kernel_size", self.kernel), ("stride", self.stride)):
            require_positive(self, field, sizes)
        if any(self._pair("pad", ("pad_h", "pad_w")) or [p.pad]):
            raise self.fail("takes no pad, as in DeconvNet", LayerError)
        self.size = self._pair("unpool_size", ("unpool_h", "unpool_w"))
        if self.size:
            require_positive(self, "unpool_size", self.size)
        if self.num_bottoms == 2 and self.method != "MAX":
            raise self.fail(f"{self.method} takes one bottom: only MAX has a mask", LayerError)

    def _pair(self, field: str, names: tuple[str, str]) -> list[int] | None:
        p = self.param.unpooling_param
        if p.HasField(names[0]) != p.HasField(names[1]):
            raise self.fail(f"{names[0]} and {names[1]} must be given together", LayerError)
        pair = height_width(self, p, field, names)
        if pair is None and p.HasField(field):
            pair = [getattr(p, field)] * 2
        return pair

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        self.check_mask(bottom_shapes)
        shape = bottom_shapes[0]
        sizes = zip(shape[2:], self.kernel, self.stride)
        self.out = self.size or [max((n - 1) * s + k, n * s + 1) for n, k, s in sizes]
        return [(*shape[:2], *self.out)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        if self.num_bottoms == 2:
            return self.unpool(bottoms)
        x = bottoms[0]
        if self.method == "MAX":
            return [self._first_pixels(x)]
        if self.method == "AVE":
            x = x / self._areas(x)
        ones = x.new_ones(x.shape[1], 1, *self.kernel)
        full = F.conv_transpose2d(x, ones, stride=self.stride, groups=x.shape[1])
        more = [out - n for out, n in zip(self.out, full.shape[2:])]
        return [F.pad(full, [0, more[1], 0, more[0]])]  # a negative pad cuts

    def _first_pixels(self, x: torch.Tensor) -> torch.Tensor:
        """Each value at the first pixel of its window, moved to the border where that is beyond."""
        for axis, (out, stride) in enumerate(zip(self.out, self.stride), 2):
            # Of values that are moved to one place, the last stays.
            count = min(x.shape[axis], -(-(out - 1) // stride) + 1)
            last = x.shape[axis] - 1
            source = torch.arange(count, device=x.device)
            place = (source * stride).clamp_(max=out - 1)
            if (count - 1) * stride >= out - 1:
                source = torch.where(source == count - 1, last, source)
            shape = [*x.shape]
            shape[axis] = out
            x = x.new_zeros(shape).index_copy(axis, place, x.index_select(axis, source))
        return x

    def _areas(self, x: torch.Tensor) -> torch.Tensor:
        """The pixels of each window inside the top, H x W; 1 where there is none."""
        sides = []
        for n, out, k, s in zip(x.shape[2:], self.out, self.kernel, self.stride):
            start = torch.arange(n, device=x.device) * s
            sides.append((start + k).clamp_(max=out).sub_(start).clamp_(min=0))
        return (sides[0][:, None] * sides[1]).clamp_(min=1)
