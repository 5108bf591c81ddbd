"""Deconvolution over any number of spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from caffe import kernels
from caffe.device import current
from caffe.kernels import upsampling
from caffe.kernels.ways import Grads
from caffe.layer import Shape, register
from caffe.layer._base_conv import BaseConvolution, wide
from caffe.native import plane_upsampling

if TYPE_CHECKING:
    from caffe.blob import Blob

_MOST_SIZES = 16  # of inputs, for which a Deconvolution keeps its matrices


@register("Deconvolution")
class Deconvolution(BaseConvolution):
    """The transpose of Convolution: ``out = stride (in - 1) + extent - 2 pad`` per spatial axis.

    Weights: (channels, num_output / group, kernel...), bias: (num_output).
    """

    transposed = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        super().setup(bottom_shapes)
        self._version: int | None = None  # of the weights when they were last examined
        self._filters: upsampling.Filters | None = None  # what they are made of
        self._changes = 0  # how often that has changed
        self._known: dict[tuple[Shape, torch.device], upsampling.Bands] = {}
        self._bands: upsampling.Bands | None = None  # see _find_bands

    def move_state(self, where: torch.device) -> None:
        filters = self._filters
        super().move_state(where)
        self._filters = filters  # they stay with the host, which makes bands of them

    def before_forward(self, bottom: list[Blob]) -> None:
        if current().shares_host:
            self._bands = self.variant = None
            return
        self._bands = self._find_bands(bottom[0].dims)
        self.variant = None if self._bands is None else self._changes

    def before_backward(self, bottom: list[Blob]) -> None:
        if self._bands is not None and self.blobs[0].data_storage.version() != self._version:
            self.before_forward(bottom)

    def _apply(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        relu: bool = False,
    ) -> torch.Tensor:
        if self._bands is not None and self._bands.size == x.shape[2:]:
            y = upsampling.forward(x, self._bands)
            if bias is not None:
                y += bias[:, None, None]
            return y.relu_() if relu else y
        x = wide(x)
        own = self._own_kernels(weight)
        if own is None:
            return super()._apply(x, weight, bias, relu)
        if self._runs_natively(x):
            size = [self.out_size(i, n) for i, n in enumerate(x.shape[2:])]
            y = plane_upsampling.forward(x, own, bias, self.stride, self.pad, size)
        else:
            y = torch.convolution(x, own, bias, *self._settings()[:-1], self.num_output)
        return y.relu_() if relu else y

    def _gradients(
        self, x: torch.Tensor, g: torch.Tensor, weight: torch.Tensor, mask: list[bool]
    ) -> Grads:
        if not mask[1]:
            if self._bands is not None and self._bands.size == x.shape[2:]:
                dx = upsampling.backward(g, self._bands) if mask[0] else None
                return dx, None, g.float().sum((0, 2, 3)) if mask[2] else None
            own = self._own_kernels(weight)
            if own is not None and self._runs_natively(x):
                size = x.shape[2:]
                settings = own, self.stride, self.pad
                dx = plane_upsampling.backward(g, *settings, size) if mask[0] else None
                return dx, None, g.sum((0, 2, 3)) if mask[2] else None
            if own is not None:
                return torch.ops.aten.convolution_backward(
                    g, x, own, [self.num_output], *self._settings()[:-1], self.num_output, mask
                )
        return super()._gradients(x, g, weight, mask)

    def _own_kernels(self, weight: torch.Tensor) -> torch.Tensor | None:
        """One kernel for each channel, where the weights mix no channels (as FCN's, bilinear and
        frozen): then a group for each channel computes the same at a fraction of the work."""
        if self.spatial_axes != 2 or weight.device.type != "cpu":
            return None
        if self.group == self.channels == self.num_output:
            return weight
        if self.group != 1:
            return None
        return upsampling.diagonal(weight, self.blobs[0].data_storage)

    def _runs_natively(self, x: torch.Tensor) -> bool:
        """Whether native kernels upsample this, where each channel has a kernel."""
        geometry = self.kernel, self.stride, self.dilation
        return kernels.enabled() and plane_upsampling.applies(x, *geometry)

    def _find_bands(self, bottom: Shape) -> upsampling.Bands | None:
        """The matrices that do the same along the rows and the columns, on a device, where the
        weights are one separable kernel for every channel and none between channels.

        Looking at the weights waits for the device.  So it is done when they have changed, and
        never while they learn: how a pass is computed must not depend on the passes before it, or
        a resumed training would end in other bits.
        """
        if self.group != 1 or self.spatial_axes != 2 or self.channel_axis != 1:
            return None
        if list(self.dilation) != [1, 1] or not kernels.enabled() or self._learns():
            return None
        self._examine()
        if self._filters is None:
            return None
        size, device = (bottom[2], bottom[3]), current().torch_device
        if (size, device) not in self._known:
            if len(self._known) >= _MOST_SIZES:
                self._known.clear()
            bands = upsampling.bands(self._filters, self.stride, self.pad, size, device)
            self._known[size, device] = bands
        return self._known[size, device]

    def _examine(self) -> None:
        """Find the filters of the weights as they are, if they may have changed."""
        memory = self.blobs[0].data_storage
        version = memory.version()
        if version is not None and version == self._version:
            return
        self._version = version
        filters = None
        if version is not None:  # else somebody may be writing to them
            own = upsampling.diagonal(self.blobs[0].data_tensor(), memory)
            filters = None if own is None else upsampling.separate(own)
        if not upsampling.same(filters, self._filters):
            self._filters = filters
            self._known.clear()
            self._changes += 1

    def _weight_shape(self) -> Shape:
        return (self.channels, self.num_output // self.group, *self.kernel)

    def out_size(self, axis: int, size: int) -> int:
        return self.stride[axis] * (size - 1) + self._extent(axis) - 2 * self.pad[axis]
