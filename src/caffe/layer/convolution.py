"""Convolution over any number of spatial axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from caffe import kernels
from caffe.arithmetic import precision
from caffe.kernels import convolution, native_convolution
from caffe.kernels import device as on_device
from caffe.kernels.pooling import PooledDiff
from caffe.kernels.ways.columns import Columns, is_small
from caffe.kernels.window import Window
from caffe.layer import Need, Shape, register
from caffe.layer._base_conv import BaseConvolution, wide
from caffe.storage import Storage

if TYPE_CHECKING:
    from caffe.blob import Blob

_WHOLE_MOST = 1 << 24  # numbers of a gradient that is written whole for native kernels: 64 MB


@register("Convolution")
class Convolution(BaseConvolution):
    """Cross-correlation.  Per spatial axis ``out = (in + 2 pad - extent) / stride + 1`` with
    ``extent = dilation (kernel - 1) + 1`` and division that rounds toward zero.

    Weights: (num_output, channels / group, kernel...), bias: (num_output).
    """

    transposed = False
    window: Window | None = None  # the execution plan's: in which parts the output is computed
    _bottom_diff: Storage | None = None  # while one bottom's gradient is computed
    short: Any = None  # the plan's, on a GPU: what its forward pass kept (net/border_step.py)
    _chosen: Any = None  # what _way has found last, and for what

    def compute(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None = None,
        relu: bool = False,
        out: torch.Tensor | None = None,
        window_only: bool = False,
    ) -> torch.Tensor:
        """The convolution of x (batch, channels, height, width), and a ReLU after it on request.

        ``out`` is memory of the result's shape that may be written and returned.  With
        ``window_only`` it already holds the result outside :attr:`window`, and keeps it.
        """
        if self._narrow(x):
            return on_device.forward(x, weight, bias, self._storages(), self._settings(), relu)
        x = wide(x)
        chosen = self._way(x, weight)
        if chosen is None:
            return super()._apply(x, weight, bias, relu)
        way, geometry = chosen
        blocks = None
        if self.window is not None and self.window.fits(x.shape):
            blocks = self.window.blocks[:1] if window_only else self.window.blocks
        call = self._call(geometry, x, weight, bias)
        y = native_convolution.forward(call, relu, out) if blocks is None else None
        return way.forward(call, relu, out, blocks) if y is None else y

    def _narrow(self, x: torch.Tensor) -> bool:
        """Whether the CPU computes this in bfloat16: when asked for, in TEST."""
        if x.device.type != "cpu" or self.phase == 0 or precision() != "bf16":
            return False
        return kernels.enabled() and x.ndim == 4 and not any(self._overhang(x.shape[2:]))

    def works_in_blocks(self, bottom: Shape) -> bool:
        """True where an output can be computed block by block for a bottom of this shape."""
        if self.channel_axis != 1 or self.spatial_axes != 2 or any(self._overhang(bottom[2:])):
            return False
        stand_in = torch.zeros(()).expand(self.blobs[0].dims)  # only its shape counts
        return convolution.choose(self._geometry(bottom), stand_in).in_blocks

    def _apply(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        relu: bool = False,
    ) -> torch.Tensor:
        return self.compute(x, weight, bias, relu)

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        self._bottom_diff = bottom[0].diff_storage if len(bottom) == 1 else None
        try:
            super().backward_blobs(top, need, bottom)
        finally:
            self._bottom_diff = None

    def strips(
        self, x: torch.Tensor, step: int, params: list[torch.Tensor]
    ) -> Iterable[tuple[int, int, torch.Tensor]] | None:
        """The convolution with a ReLU in strips of rows: see :meth:`convolution.Way.strips`.  None
        where it is not computed so."""
        chosen = self._way(x, params[0]) if x.dtype == torch.float32 else None
        if chosen is None or not chosen[0].in_blocks:
            return None
        call = self._call(chosen[1], x, params[0], params[1] if self.has_bias else None)
        # The parameters may be earlier ones: nothing that is derived from them is to be kept.
        return chosen[0].strips(call._replace(learns=True), True, step)

    def backward_pooled(self, dy: PooledDiff, need: Need, bottom: Blob) -> None:
        """:meth:`backward_blobs` where the top's gradient comes from a pooling."""
        x, weight = wide(bottom.data_tensor()), self.blobs[0].data_tensor()
        self._bottom_diff = bottom.diff_storage
        try:
            mask = [need.bottoms[0], need.params[0], self.has_bias and need.params[1]]
            chosen = self._way(x, weight)
            if chosen is None:
                dx, *grads = super()._gradients(x, dy.whole(), weight, mask)
            else:
                way, geometry = chosen
                call = self._call(geometry, x, weight, None)
                small = math.prod(geometry.top) <= _WHOLE_MOST
                if small and native_convolution.takes_backward(geometry, x, mask):
                    dx, *grads = native_convolution.backward(call, dy.whole(), mask)
                else:
                    dx, *grads = way.backward_pooled(call, dy, mask)
        finally:
            self._bottom_diff = None
        if dx is not None:
            bottom.set_diff(dx)
        for blob, grad in zip(self.blobs, grads):
            if grad is not None:
                blob.add_diff(grad.view(blob.dims))

    def _gradients(
        self, x: torch.Tensor, g: torch.Tensor, weight: torch.Tensor, mask: list[bool]
    ) -> convolution.Grads:
        chosen = self._way(x, weight)
        if chosen is None:
            return super()._gradients(x, g, weight, mask)
        way, geometry = chosen
        call = self._call(geometry, x, weight, None)
        found = native_convolution.backward(call, g, mask)
        left = [wanted and one is None for wanted, one in zip(mask, found)]
        if not any(left):
            return found
        dx, dw, db = way.backward(call, g, left)
        return (
            dx if found[0] is None else found[0],
            dw if found[1] is None else found[1],
            db if found[2] is None else found[2],
        )

    def _call(
        self,
        geometry: convolution.Geometry,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
    ) -> convolution.Call:
        blob = self.blobs[0]
        own = blob.data_storage, blob.diff_storage, self._bottom_diff, self._learns()
        return convolution.Call(geometry, x, weight, bias, *own)

    def _way(
        self, x: torch.Tensor, weight: torch.Tensor
    ) -> tuple[convolution.Way, convolution.Geometry] | None:
        """The CPU's own way to compute this, None where PyTorch's operator is called as it is."""
        if not x.is_cpu:
            return None
        key = x.shape, weight.shape, *self.pad, kernels.enabled()  # border_step.py changes the pad
        if self._chosen is None or self._chosen[0] != key:
            found = None
            if self.spatial_axes == 2 and not any(self._overhang(x.shape[2:])):
                geometry = self._geometry(x.shape)
                found = convolution.choose(geometry, weight), geometry
            self._chosen = key, found
        return self._chosen[1]

    def is_small(self, x: torch.Tensor, weight: torch.Tensor) -> bool:
        """Whether all of this is native/small_convolution.py's work."""
        if self.window is not None or self.channel_axis != 1:  # its axes are not those of x
            return False
        chosen = self._way(x, weight)
        if chosen is None:
            return False
        way, geometry = chosen
        if not isinstance(way, Columns) or native_convolution.comes_first(geometry, x):
            return False
        return is_small(geometry, x)

    def _geometry(self, bottom: Shape) -> convolution.Geometry:
        sizes = [self.out_size(i, n) for i, n in enumerate(bottom[2:])]
        top = (bottom[0], self.num_output, *sizes)
        settings = self.kernel, self.stride, self.pad, self.dilation, self.group
        return convolution.Geometry(*settings, tuple(bottom), top)

    def _weight_shape(self) -> Shape:
        return (self.num_output, self.channels // self.group, *self.kernel)

    def out_size(self, axis: int, size: int) -> int:
        room = size + 2 * self.pad[axis] - self._extent(axis)
        return int(math.copysign(abs(room) // self.stride[axis], room)) + 1

    def _overhang(self, sizes: Sequence[int]) -> list[int]:
        # Rounding toward zero gives size 1 where the kernel is a little larger than the padded
        # input; Caffe reads zeros there.
        pads: list[int] = []
        for axis in reversed(range(len(sizes))):
            missing = self._extent(axis) - sizes[axis] - 2 * self.pad[axis]
            pads += [0, max(0, missing)]
        return pads
