"""Pooling: MAX, AVE and STOCHASTIC over windows of an image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F

from caffe import kernels
from caffe.errors import LayerError
from caffe.kernels import pooling
from caffe.kernels.layout import is_channels_last
from caffe.kernels.window import Block
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer import _stochastic as stochastic
from caffe.layer._draws import DeviceDraws
from caffe.layer._kernel import height_width, require_positive
from caffe.native import places

if TYPE_CHECKING:
    from caffe.blob import Blob

# Small kernels over many numbers: slices of the whole image are faster than PyTorch's pooling.
_FEW_PLACES, _FEW_NUMBERS = 4, 1 << 20
LOWEST = torch.finfo(torch.float32).min
aten = torch.ops.aten


@register("Pooling")
class Pooling(Layer):
    """N x C x H x W to N x C x H' x W', ``H' = ceil((H + 2 pad - kernel) / stride) + 1``.

    The ceiling is Caffe's: most other programs round down (``round_mode: FLOOR`` does).  With a
    pad, a last window that would start beyond the image and its pad is dropped; without one it is
    kept, and where it lies outside the image MAX gives -3.4e38 and AVE 0 or NaN.

    MAX takes the first maximum in raster order; NaN never wins, nor does -inf.  On a GPU both do:
    to learn whether there are any, the host would have to wait for the device in every pass.  A
    second top receives the index ``h W + w``, -1 for none.  AVE divides by the window's area before
    it is clipped to the image, but after it is clipped to the image with its pad.

    STOCHASTIC draws one value of each window in TRAIN, with probability proportional to the value,
    and takes the mean of such draws, ``sum x^2 / sum x``, in TEST, as BVLC does on a GPU (on the
    CPU it aborts).  The gradient goes to the value drawn; in TEST it is that of the formula, where
    BVLC's goes to what was drawn last.
    """

    any_precision = True
    tops = (1, 2)
    refuses_in_place = True  # BVLC accepts it and gives garbage of a new shape in every pass
    joined = False  # whether the layers before may take the places of its maxima: of two bytes then

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.pooling_param
        self.max = p.pool == p.MAX
        self.stochastic = p.pool == p.STOCHASTIC
        if self.stochastic:  # running sums need float32
            self.any_precision = False
        self.draws = DeviceDraws()
        if self.num_tops == 2 and not self.max:
            raise self.fail("only MAX pooling has a second top (the mask)", LayerError)
        kernel = self._pair("kernel_size", "kernel")
        self.stride = self.given_stride = self._pair("stride", "stride") or [p.stride] * 2
        self.pad = self._pair("pad", "pad") or [p.pad] * 2
        require_positive(self, "stride", self.stride)
        if self.stochastic and any(self.pad):
            raise self.fail(f"STOCHASTIC pooling takes no pad, got {self.pad}", LayerError)
        self.fixed_kernel: list[int] | None = None
        if p.global_pooling:
            if kernel or p.HasField("kernel_size"):
                raise self.fail("with global_pooling the kernel size cannot be given", LayerError)
            if any(self.pad) or self.stride != [1, 1]:
                raise self.fail("global_pooling needs pad 0 and stride 1", LayerError)
            return
        if not kernel and not p.HasField("kernel_size"):
            raise self.fail("needs kernel_size, or both kernel_h and kernel_w", LayerError)
        self.fixed_kernel = kernel or [p.kernel_size] * 2
        require_positive(self, "kernel_size", self.fixed_kernel)
        if any(self.pad) and any(a >= k for a, k in zip(self.pad, self.fixed_kernel)):
            raise self.fail(
                f"pad {self.pad} must be smaller than the kernel {self.fixed_kernel}", LayerError
            )

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) != 4:
            raise self.fail(f"the bottom must have 4 axes (N, C, H, W), got {shape}")
        image = shape[2:]
        self.kernel = self.fixed_kernel or list(image)
        self.stride = self.given_stride
        out = [self.out_size(i, n) for i, n in enumerate(image)]
        if any(self.pad):
            for i, (n, size) in enumerate(zip(out, image)):
                if (n - 1) * self.stride[i] >= size + self.pad[i]:
                    out[i] -= 1
        if any(n <= 0 for n in out):
            raise self.fail(
                f"the output would have the size {out}: kernel {self.kernel} (pad {self.pad}) "
                f"does not fit the bottom {shape}"
            )
        self.out = out
        # The second window of a larger stride misses the image in any case: no memory up to there.
        beyond = [n + 2 * p + k for n, p, k in zip(image, self.pad, self.kernel)]
        self.stride = [min(s, b) for s, b in zip(self.given_stride, beyond)]
        self.ceil_mode = self._pytorch_mode(image)
        starts = ((n - 1) * s - p for n, s, p in zip(out, self.stride, self.pad))
        self.all_see_image = all(a < size for a, size in zip(starts, image))
        return [(*shape[:2], *out)] * self.num_tops

    def before_forward(self, bottom: list[Blob]) -> None:
        if self.stochastic and self.phase == 0:
            self.draws.seed()

    def generators(self) -> list[torch.Generator]:
        return self.draws.current()

    def renew_generators(self) -> None:
        self.draws.renew()

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        if self.stochastic:
            return [self._stochastic(x)]
        if not self.max:
            return [self._average(x)]
        y, index, self.plain = self._maximum(x)
        self.index: torch.Tensor | None = index
        return [y, index.float()] if self.num_tops == 2 else [y]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None], []
        x, g = bottoms[0], top_diffs[0]
        if self.stochastic and self.phase != 0:
            return super().backward(tops, top_diffs, bottoms, params, need)
        if not self.max and not self.stochastic:
            return [self._average_backward(x, g)], []
        index = getattr(self, "index", None)
        if self.num_tops == 2:
            index = tops[1].long()  # Caffe reads the second top, which a user may have edited
        elif index is None or index.shape != g.shape:
            index = torch.zeros_like(g, dtype=torch.long)  # no forward yet: all zero, as in Caffe
        elif self.plain and index.dtype is torch.int16:
            return [self.pooled_diff(g, x.shape).whole()], []
        elif index.dtype is torch.int32:
            return [places.backward(g, index, x.shape, self.kernel, self.stride, self.pad)], []
        elif self.plain:
            args = self.kernel, self.stride, self.pad, [1, 1], self.ceil_mode
            return [aten.max_pool2d_with_indices_backward(g, x, *args, index)], []
        d = x.new_zeros(*x.shape[:2], x.shape[2] * x.shape[3])
        g = g.masked_fill(index < 0, 0.0)
        d.scatter_add_(2, index.clamp(min=0).flatten(2), g.flatten(2))
        return [d.view(x.shape)], []

    def pooled_diff(
        self, g: torch.Tensor, shape: Sequence[int], maxima: torch.Tensor | None = None
    ) -> pooling.PooledDiff:
        """The gradient of a bottom of ``shape`` where the last forward pass kept places of two
        bytes; through a ReLU before the pooling with its ``maxima``."""
        index = cast(torch.Tensor, self.index)
        return pooling.PooledDiff(g, index, maxima, self.kernel, bool(self.ceil_mode), tuple(shape))

    def needs_no_index(self) -> bool:
        """True where :meth:`maxima` can do this layer's forward pass: MAX without pad or mask."""
        return (
            self.max and self.num_tops == 1 and not any(self.pad) and self.fixed_kernel is not None
        )

    def maxima(
        self, x: torch.Tensor, out: torch.Tensor | None = None, block: Block | None = None
    ) -> torch.Tensor:
        """The forward pass where no backward pass can come: maxima without their indices.

        ``out`` is memory of the result's shape that may be written and returned.  With ``block``
        = (first row, end, first column, end) it keeps what it holds outside.
        """
        self.index = None
        few = self.kernel[0] * self.kernel[1] <= _FEW_PLACES and x.numel() >= _FEW_NUMBERS
        if block is None and not few:
            return self._maximum(x)[0]
        layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
        if out is None or out.dtype != x.dtype or not out.is_contiguous(memory_format=layout):
            out = torch.empty(*x.shape[:2], *self.out, dtype=x.dtype, memory_format=layout)
            block = None
        r0, r1, c0, c1 = block or (0, self.out[0], 0, self.out[1])
        y = out[:, :, r0:r1, c0:c1]
        first = [r0 * self.stride[0], c0 * self.stride[1]]
        sizes = zip(self.out, self.stride, x.shape[2:])
        if y.numel() and all((n - 1) * s < m for n, s, m in sizes):  # all begin in the image
            for i in range(self.kernel[0]):
                for j in range(self.kernel[1]):
                    part = x[:, :, first[0] + i :: self.stride[0], first[1] + j :: self.stride[1]]
                    part = part[:, :, : y.shape[2], : y.shape[3]]
                    if i == j == 0:
                        y.copy_(part)
                    elif part.numel():  # a window may reach beyond the image
                        best = y[:, :, : part.shape[2], : part.shape[3]]
                        torch.maximum(best, part, out=best)
            if x.device.type != "cpu" or bool(y.amin() >= LOWEST):
                return out
        # NaN and -inf lose in Caffe and win here; windows may also miss the image.
        return out.copy_(self._maximum(x)[0])

    # MAX ------------------------------------------------------------------------------------------

    def _maximum(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, bool]:
        """Maxima, their indices, and whether PyTorch's own pooling found them."""
        native = kernels.enabled() and places.applies(x)
        strips = self._in_strips() and (self.joined or not native)
        if strips and pooling.applies(x, self.kernel, self.stride, self.out):
            y, index = pooling.forward(x, self.kernel, self.out, bool(self.ceil_mode))
            if bool(y.amin() >= LOWEST):  # as below
                return y, index, True
        if native:
            return *places.forward(x, self.kernel, self.stride, self.pad, self.out), True
        if self.ceil_mode is not None:
            # On the CPU PyTorch searches channels-last memory several times as fast, even counting
            # the way there and back; it vectorises over the channels.
            around = x.device.type == "cpu" and x.shape[1] >= 16 and not is_channels_last(x)
            y, index = aten.max_pool2d_with_indices(
                x.contiguous(memory_format=torch.channels_last) if around else x,
                self.kernel,
                self.stride,
                self.pad,
                [1, 1],
                self.ceil_mode,
            )
            if around:
                y = y.contiguous()
            if y.numel() == 0 or (x.device.type != "cpu" and self.all_see_image):
                return y, index, True
            # In PyTorch NaN wins and so can -inf, in Caffe neither; the minimum shows both.
            if x.device.type == "cpu" and bool(y.amin() >= LOWEST):
                return y, index, True
        width, lowest = x.shape[3], torch.finfo(x.dtype).min
        x = self._framed(torch.nan_to_num(x, lowest, torch.inf, lowest), lowest)
        y, index = aten.max_pool2d_with_indices(x, self.kernel, self.stride)
        row = index.div(x.shape[3], rounding_mode="floor") - self.pad[0]
        column = index % x.shape[3] - self.pad[1]
        index = torch.where(y > lowest, row * width + column, -1)
        return y, index, False

    def _in_strips(self) -> bool:
        """Whether places of two bytes are kept: on the CPU, of large maps."""
        if self.ceil_mode is None or any(self.pad) or self.num_tops == 2:
            return False
        return kernels.enabled()

    def pool_strips(
        self, shape: Sequence[int], strips: Iterable[tuple[int, int, torch.Tensor]]
    ) -> torch.Tensor | None:
        """The forward pass over a bottom of ``shape`` that comes in strips of rows (first, end,
        rows); each begins with a window.  None where a maximum is no number."""
        k = self.kernel[0]
        y, index = pooling.memory((*shape[:2], *self.out))
        for first, end, rows in strips:
            a, b = first // k, -(-end // k)
            into = y[:, :, a:b], index[:, :, a:b]
            pooling.forward_into(rows, self.kernel, *into, bool(self.ceil_mode))
        if not bool(y.amin() >= LOWEST):
            return None
        self.index, self.plain = index, True
        return y

    def takes_strips(self, shape: Sequence[int]) -> bool:
        """Whether :meth:`pool_strips` is for a bottom of ``shape``."""
        return self._in_strips() and pooling.fits(shape, self.kernel, self.stride, self.out)

    # STOCHASTIC -----------------------------------------------------------------------------------

    def _stochastic(self, x: torch.Tensor) -> torch.Tensor:
        windows = stochastic.windows(self._framed(x, 0.0), self.kernel, self.stride)
        if self.phase != 0:
            return stochastic.expected(windows)
        y, place = stochastic.draw(windows, self.draws)
        row, column = (torch.arange(n, device=x.device) * s for n, s in zip(self.out, self.stride))
        row = row[:, None] + place.div(self.kernel[1], rounding_mode="floor")
        column = column + place % self.kernel[1]
        inside = (place >= 0) & (row < x.shape[2]) & (column < x.shape[3])
        self.index, self.plain = torch.where(inside, row * x.shape[3] + column, -1), False
        return y

    # AVE ------------------------------------------------------------------------------------------

    def _average(self, x: torch.Tensor) -> torch.Tensor:
        if self.ceil_mode is not None:
            return aten.avg_pool2d(x, self.kernel, self.stride, self.pad, self.ceil_mode, True)
        total = aten.avg_pool2d(
            self._framed(x, 0.0), self.kernel, self.stride, [0, 0], False, True, 1
        )
        return total.div_(self._areas(x))

    def _average_backward(self, x: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        if self.ceil_mode is not None:
            return aten.avg_pool2d_backward(
                g, x, self.kernel, self.stride, self.pad, self.ceil_mode, True, None
            )
        share, framed = g / self._areas(x), self._framed(x, 0.0)
        d = aten.avg_pool2d_backward(
            share, framed, self.kernel, self.stride, [0, 0], False, True, 1
        )
        return F.pad(d, [-n for n in self._frame(x)])

    def _areas(self, x: torch.Tensor) -> torch.Tensor:
        """What each window's sum is divided by, (H', W')."""
        sides = []
        for n, k, s, p, out in zip(x.shape[2:], self.kernel, self.stride, self.pad, self.out):
            start = torch.arange(-p, -p + s * out, s, dtype=torch.float32, device=x.device)
            sides.append((start + k).clamp_(max=n + p).sub_(start))
        return sides[0][:, None] * sides[1]

    # Geometry -------------------------------------------------------------------------------------

    def _pair(self, field: str, stem: str) -> list[int] | None:
        p, names = self.param.pooling_param, (f"{stem}_h", f"{stem}_w")
        if p.HasField(names[0]) != p.HasField(names[1]):
            raise self.fail(f"{names[0]} and {names[1]} must be given together", LayerError)
        return height_width(self, p, field, names)

    def out_size(self, axis: int, size: int) -> int:
        p = self.param.pooling_param
        room, stride = size + 2 * self.pad[axis] - self.kernel[axis], self.stride[axis]
        steps = room // stride if p.round_mode == p.FLOOR else -(-room // stride)
        return steps + 1

    def _pytorch_mode(self, image: Sequence[int]) -> bool | None:
        """The ``ceil_mode`` with which PyTorch pools the same windows, None where neither does."""
        if any(2 * p > k for p, k in zip(self.pad, self.kernel)):
            return None  # PyTorch refuses
        for ceil_mode in (False, True):
            sizes = []
            for n, k, s, p in zip(image, self.kernel, self.stride, self.pad):
                room = n + 2 * p - k
                size = (-(-room // s) if ceil_mode else room // s) + 1
                if ceil_mode and (size - 1) * s >= n + p:
                    size -= 1  # PyTorch drops such a window also without a pad
                sizes.append(size)
            if sizes == self.out:
                return ceil_mode
        return None

    def _framed(self, x: torch.Tensor, value: float) -> torch.Tensor:
        """``x`` with its pad, as far as the windows reach and no farther."""
        return F.pad(x, self._frame(x), value=value)

    def _frame(self, x: torch.Tensor) -> list[int]:
        """What :meth:`_framed` adds left, right, above and below; negative where it cuts."""
        sides = []
        for n, k, s, p, out in zip(x.shape[2:], self.kernel, self.stride, self.pad, self.out):
            sides.append([p, s * (out - 1) + k - n - p])
        return sides[1] + sides[0]
