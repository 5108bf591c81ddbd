"""Im2col: the windows that a convolution multiplies with its weights, as channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._kernel import require_positive
from caffe.layer.convolution import Convolution


@register("Im2col")
class Im2col(Convolution):
    """(batch..., C, spatial...) to (batch..., C kernel..., out...), over any number of spatial
    axes: channels first, then the places of the kernel in raster order.

    kernel_size, stride, pad, dilation and axis of ``convolution_param`` as Convolution has them;
    the rest of it is ignored.  It has no weights.
    """

    bottoms = 1
    tops = 1
    refuses_in_place = True  # BVLC accepts it: the bottom then grows in every pass

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        shape = bottom_shapes[0]
        self.ndim = len(shape)
        self.channel_axis = self.axis(self.param.convolution_param.axis, self.ndim)
        self.spatial_axes = self.ndim - self.channel_axis - 1
        if self.spatial_axes < 1:
            raise self.fail(f"needs a spatial axis behind axis {self.channel_axis}, got {shape}")
        self.kernel = self._sizes("kernel_size", None)
        self.stride = self._sizes("stride", 1)
        self.pad = self._sizes("pad", 0)
        self.dilation = self._sizes("dilation", 1)
        require_positive(self, "kernel_size", self.kernel)
        require_positive(self, "stride", self.stride)
        require_positive(self, "dilation", self.dilation)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) != self.ndim:
            raise self.fail(
                f"the number of axes may not change: was {self.ndim}, bottom is now {shape}"
            )
        first = self.channel_axis
        sizes = [self.out_size(i, n) for i, n in enumerate(shape[first + 1 :])]
        if any(n <= 0 for n in sizes):
            raise self.fail(
                f"the output would have the size {sizes}: kernel {self.kernel} (dilation "
                f"{self.dilation}, pad {self.pad}) does not fit the bottom {shape}"
            )
        return [(*shape[:first], shape[first] * math.prod(self.kernel), *sizes)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x, first, n = bottoms[0], self.channel_axis, self.spatial_axes
        windows = self._windows(F.pad(x, self._border(x)))
        places = range(first + 1 + n, first + 1 + 2 * n)
        windows = windows.permute(*range(first + 1), *places, *range(first + 1, first + 1 + n))
        return [windows.flatten(first, first + n).contiguous()]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        # Caffe writes this diff also where propagate_down says not to.
        return Layer.backward(self, tops, top_diffs, bottoms, params, Need((True,), ()))

    def _windows(self, x: torch.Tensor) -> torch.Tensor:
        """A view (batch..., C, out..., kernel...) of an ``x`` with its border."""
        for i in range(self.spatial_axes):
            x = x.unfold(self.channel_axis + 1 + i, self._extent(i), self.stride[i])
        holes: tuple[Any, ...] = (..., *(slice(None, None, d) for d in self.dilation))
        return x[holes]

    def _border(self, x: torch.Tensor) -> list[int]:
        """The zeros around ``x`` in the order of ``F.pad``: the pad, and what a kernel larger than
        the padded bottom reads beyond it."""
        beyond = self._overhang(x.shape[self.channel_axis + 1 :])
        pads = [p for p in reversed(self.pad) for _ in range(2)]
        return [p + b for p, b in zip(pads, beyond)]
