"""What Convolution and Deconvolution have in common, over any number of spatial axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F

from caffe.errors import LayerError
from caffe.kernels import device as on_device
from caffe.kernels.ways import Grads
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors
from caffe.layer._conv_nd import convolve_nd, deconvolve_nd
from caffe.layer._kernel import height_width, require_positive
from caffe.storage import Storage

__all__ = ["BaseConvolution", "wide"]

_HEIGHT_WIDTH = {
    "kernel_size": ("kernel_h", "kernel_w"),
    "stride": ("stride_h", "stride_w"),
    "pad": ("pad_h", "pad_w"),
}


def wide(x: torch.Tensor) -> torch.Tensor:
    """In float32 on the CPU, whose float32 ways take nothing else."""
    return x.float() if x.device.type == "cpu" else x


class BaseConvolution(Layer):
    """What the two have in common.  ``convolution_param``, with its defaults: num_output,
    kernel_size, stride 1, pad 0, dilation 1 (each one value, or one per spatial axis, or _h and
    _w), group 1, bias_term true, axis 1 (the channels; the axes before it are batch, the axes
    after it are spatial), weight_filler and bias_filler (constant 0).

    Several bottoms of one shape give as many tops through the same weights.
    """

    bottoms: int | tuple[int, int | None] = (1, None)
    tops: int | tuple[int, int | None] = (1, None)
    equal_counts = True
    any_precision = True
    reads_tops = False
    transposed: ClassVar[bool]

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.convolution_param
        shape = bottom_shapes[0]
        self.ndim = len(shape)
        self.channel_axis = self.axis(p.axis, self.ndim)
        self.spatial_axes = self.ndim - self.channel_axis - 1
        self.kernel = self._sizes("kernel_size", None)
        self.stride = self._sizes("stride", 1)
        self.pad = self._sizes("pad", 0)
        self.dilation = self._sizes("dilation", 1)
        require_positive(self, "kernel_size", self.kernel)
        require_positive(self, "stride", self.stride)
        require_positive(self, "dilation", self.dilation)
        if self.in_place and set(self.kernel) <= {1} and self.stride == self.kernel:
            # BVLC accepts it and gives garbage: without im2col its product overwrites its input.
            raise self.fail("a 1x1 kernel cannot work in place: name the top anew", LayerError)
        self.channels = shape[self.channel_axis]
        self.num_output = p.num_output
        self.group = p.group
        require_positive(self, "num_output", [self.num_output])
        require_positive(self, "group", [self.group])
        for what, value in (("input channels", self.channels), ("num_output", self.num_output)):
            if value % self.group:
                raise self.fail(f"{what} ({value}) must be a multiple of group ({self.group})")
        self.add_blob(self._weight_shape(), p.weight_filler)
        self.has_bias = p.bias_term
        if self.has_bias:
            self.add_blob((self.num_output,), p.bias_filler)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        first = bottom_shapes[0]
        if len(first) != self.ndim:
            raise self.fail(
                f"the number of axes may not change: was {self.ndim}, bottom is now {first}"
            )
        if first[self.channel_axis] != self.channels:
            raise self.fail(
                f"input size incompatible with the kernel: the weights "
                f"{self.blobs[0].dims} are for {self.channels} channels, bottom is {first}"
            )
        for i, shape in enumerate(bottom_shapes):
            if tuple(shape) != tuple(first):
                raise self.fail(f"all inputs must have the same shape: {first}, bottom {i} {shape}")
        sizes = [self.out_size(i, n) for i, n in enumerate(first[self.channel_axis + 1 :])]
        if any(n <= 0 for n in sizes):
            raise self.fail(
                f"the output would have the size {sizes}: kernel {self.kernel} (dilation "
                f"{self.dilation}, pad {self.pad}) does not fit the bottom {first}"
            )
        top = (*first[: self.channel_axis], self.num_output, *sizes)
        return [top] * len(bottom_shapes)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        weight, bias = params[0], (params[1] if self.has_bias else None)
        tops = []
        for x in bottoms:
            y = self._apply(self._flat(x), weight, bias)
            if self.channel_axis != 1:
                y = y.reshape(*x.shape[: self.channel_axis], *y.shape[1:])
            tops.append(y)
        return tops

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if self.spatial_axes > 3:
            return super().backward(tops, top_diffs, bottoms, params, need)
        bottom_diffs: MaybeTensors = [None] * len(bottoms)
        param_diffs: MaybeTensors = [None] * len(params)
        for i, (x, g) in enumerate(zip(bottoms, top_diffs)):
            mask = [need.bottoms[i], need.params[0], self.has_bias and need.params[1]]
            if not any(mask):
                continue
            inputs = self._flat(wide(x)), self._flat(wide(g))
            d, *grads = self._gradients(*inputs, params[0], mask)
            if mask[0]:
                # Reshaping to its own shape would give the batch axis of one image a stride that
                # other operators do not take for channels-last: they would copy the whole.
                bottom_diffs[i] = d if d is None or d.shape == x.shape else d.reshape(x.shape)
            for j in range(len(params)):
                if mask[j + 1]:
                    seen, grad = param_diffs[j], grads[j]
                    if seen is not None and grad is not None:
                        grad = seen.add_(grad)
                    param_diffs[j] = grad
        return bottom_diffs, param_diffs

    def _gradients(
        self, x: torch.Tensor, g: torch.Tensor, weight: torch.Tensor, mask: list[bool]
    ) -> Grads:
        """The gradients of x (batch, channels, spatial...), weight and bias, as ``mask`` says."""
        shape = weight.shape
        extra = self._overhang(x.shape[2:])
        padded = F.pad(x, extra) if any(extra) else x
        if self.spatial_axes == 0:
            padded, g, weight = padded.unsqueeze(2), g.unsqueeze(2), weight.unsqueeze(2)
        if x.device.type == "cpu":
            dx, dw, db = torch.ops.aten.convolution_backward(
                g, padded, weight, [self.num_output], *self._settings(), mask
            )
        else:
            dx, dw, db = on_device.backward(
                g, padded, weight, self._storages(), self._settings(), mask, self.num_output
            )
        if mask[0] and any(extra):
            dx = dx[(..., *(slice(0, n) for n in x.shape[2:]))]
        return dx, dw.view(shape) if mask[1] else dw, db

    def _flat(self, x: torch.Tensor) -> torch.Tensor:
        """The axes before the channels made one."""
        if self.channel_axis == 1:
            return x
        batch = math.prod(x.shape[: self.channel_axis])
        return x.reshape(batch, *x.shape[self.channel_axis :])

    def _apply(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        relu: bool = False,
    ) -> torch.Tensor:
        """x: (batch, channels, spatial...); a ReLU follows on request."""
        extra = self._overhang(x.shape[2:])
        if any(extra):
            x = F.pad(x, extra)
        if self.spatial_axes > 3:
            nd = deconvolve_nd if self.transposed else convolve_nd
            return nd(x.float(), weight, bias, self.stride, self.pad, self.dilation, self.group)
        x = wide(x)
        if self.spatial_axes == 0:
            x, weight = x.unsqueeze(2), weight.unsqueeze(2)
        if x.device.type == "cpu":
            y = torch.convolution(x, weight, bias, *self._settings())
        else:
            y = on_device.forward(x, weight, bias, self._storages(), self._settings(), relu)
            relu = False
        y = y.squeeze(2) if self.spatial_axes == 0 else y
        return y.relu_() if relu else y

    def _learns(self) -> bool:
        specs = self.param.param
        return self.phase == 0 and (not specs or specs[0].lr_mult != 0)

    def _storages(self) -> list[Storage]:
        """What holds the parameters, and what is derived from them."""
        return [blob.data_storage for blob in self.blobs]

    def _settings(self) -> on_device.Settings:
        if self.spatial_axes == 0:  # a matrix product, written as one position of one axis
            return on_device.Settings([1], [0], [1], self.transposed, [0], self.group)
        none = [0] * self.spatial_axes
        sizes = self.stride, self.pad, self.dilation
        return on_device.Settings(*sizes, self.transposed, none, self.group)

    def _sizes(self, field: str, default: int | None) -> list[int]:
        p, n = self.param.convolution_param, self.spatial_axes
        if field in _HEIGHT_WIDTH:
            pair = height_width(self, p, field, _HEIGHT_WIDTH[field])
            if pair is not None:
                if n != 2:
                    raise self.fail(f"{field}_h and _w need 2 spatial axes, not {n}", LayerError)
                return pair
        values = list(getattr(p, field))
        if not values and default is not None:
            return [default] * n
        if len(values) == 1:
            return values * n
        if len(values) != n:
            raise self.fail(
                f"{field} must be given once, or once for each of the {n} spatial axes: "
                f"got {values}",
                LayerError,
            )
        return values

    def _extent(self, axis: int) -> int:
        """How far one kernel reaches, with its holes."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def _weight_shape(self) -> Shape:
        raise self.fail("has no weights", LayerError)

    def out_size(self, axis: int, size: int) -> int:
        raise self.fail("has no output size", LayerError)

    def _overhang(self, sizes: Sequence[int]) -> list[int]:
        """Zeros to append to the input, in the order of ``F.pad``."""
        return [0] * (2 * len(sizes))
