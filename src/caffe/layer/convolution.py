"""Convolution and Deconvolution over any number of spatial axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F

from caffe import kernels
from caffe.arithmetic import precision
from caffe.device import current
from caffe.errors import LayerError
from caffe.kernels import convolution, native_convolution, upsampling
from caffe.kernels import device as on_device
from caffe.kernels.pooling import PooledDiff
from caffe.kernels.window import Window
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._conv_nd import convolve_nd, deconvolve_nd
from caffe.layer._kernel import height_width, require_positive
from caffe.native import plane_upsampling
from caffe.storage import Storage

if TYPE_CHECKING:
    from caffe.blob import Blob

_WHOLE_MOST = 1 << 24  # numbers of a gradient that is written whole for native kernels: 64 MB
_MOST_SIZES = 16  # of inputs, for which a Deconvolution keeps its matrices

_HEIGHT_WIDTH = {
    "kernel_size": ("kernel_h", "kernel_w"),
    "stride": ("stride_h", "stride_w"),
    "pad": ("pad_h", "pad_w"),
}


def _wide(x: torch.Tensor) -> torch.Tensor:
    """In float32 on the CPU, whose float32 ways take nothing else."""
    return x.float() if x.device.type == "cpu" else x


class _Filter(Layer):
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
            inputs = self._flat(_wide(x)), self._flat(_wide(g))
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
    ) -> convolution.Grads:
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
        x = _wide(x)
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


@register("Convolution")
class Convolution(_Filter):
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
        x = _wide(x)
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
        x, weight = _wide(bottom.data_tensor()), self.blobs[0].data_tensor()
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


@register("Deconvolution")
class Deconvolution(_Filter):
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
        x = _wide(x)
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
    ) -> convolution.Grads:
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
