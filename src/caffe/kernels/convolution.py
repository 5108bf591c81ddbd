"""Ways to compute a 2-D convolution on the CPU, in a table; the first that applies is taken.

To add one: a subclass of :class:`Way` and its place in :data:`WAYS`.  Every way takes x
(N, C, H, W) in any memory format and Caffe's weights (O, C, kh, kw), and gives float32 results
equal to the general one's to rounding.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F

from caffe import kernels, native
from caffe._planes import planes
from caffe.kernels import fused, native_convolution, winograd
from caffe.kernels.pooling import PooledDiff
from caffe.kernels.scratch import buffer
from caffe.kernels.window import Block
from caffe.native import small_convolution
from caffe.native.calls import floats
from caffe.storage import Storage

__all__ = ["WAYS", "Call", "Geometry", "Way", "choose", "columns", "diagonal", "is_channels_last"]

_COLUMNS_LEAST_WEIGHTS = 1 << 20
_COLUMNS_MOST_OUTPUTS = 1024
_COLUMNS_FEW = 1 << 15
_CHANNELS_LAST_LEAST_OUTPUT = 16
_OWN_KERNEL_WIDTH = 3
_APART_LEAST_OUTPUT = 1 << 20
_FEW_INPUTS = 64
_STRIPS_LEAST_OUTPUT = 1 << 22
_PASSING_USES = 2  # of weights that are packed for one pass
_STRIP_NUMBERS, _STRIP_ROWS = 1 << 21, 16  # of a strip, at least

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
    """A way to compute a convolution: a subclass, and an entry in :data:`WAYS`."""

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
            y = _nchw(buffer("strip", g.top[0], end - first, width, g.top[1]))
            self._strip(call, relu, y, (first, end, 0, width))
            yield first, end, y

    def strip_rows(self, g: Geometry) -> int:
        """How many rows of the output are best computed together."""
        return max(_STRIP_ROWS, _STRIP_NUMBERS // (g.top[3] * g.top[0] * g.top[1]))

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


class Pointwise(Way):
    """1x1: a matrix product over the channels, at the positions that a stride leaves."""

    name = "pointwise"

    def applies(self, g: Geometry, weight: torch.Tensor) -> bool:
        return g.plain and list(g.kernel) == [1, 1] and not any(g.pad)

    def _whole(self, call: Call) -> torch.Tensor:
        g, weight, bias = call.geometry, call.weight, call.bias
        x = _strided(g, call.x)
        if is_channels_last(x):
            return _nchw(F.linear(_nhwc(x), weight.flatten(1), bias))
        if self._weights_prevail(x, weight):
            return _nchw(F.linear(_nhwc(x), weight.flatten(1), bias)).contiguous()
        y = torch.matmul(weight.flatten(1), x.contiguous().flatten(2))
        if bias is not None:
            y += bias[:, None]
        return y.view(*g.top)

    def _gradients(
        self, call: Call, dy: torch.Tensor, mask: Mask
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        if not call.geometry.unit:
            return self._strided_gradients(call, dy, mask)
        x, matrix = call.x, call.weight.flatten(1)
        dx = dw = None
        last = is_channels_last(x)
        if last or self._weights_prevail(x, matrix):
            images = _nhwc(x)
            rows = _nhwc(dy).flatten(0, 2)
            if mask[0]:
                dx = _nchw(torch.mm(rows, matrix).view(images.shape))
                dx = dx if last else dx.contiguous()
            if mask[1]:
                seen = images.flatten(0, 2)
                if seen.shape[1] < rows.shape[1]:  # the narrow one first: a tenth faster
                    dw = torch.mm(seen.t(), rows).t().contiguous()
                else:
                    dw = torch.mm(rows.t(), seen)
            return dx, dw
        planes = dy.contiguous().flatten(2)
        if mask[0]:
            dx = torch.matmul(matrix.t(), planes).view(x.shape)
        if mask[1]:
            columns = x.contiguous().flatten(2).transpose(1, 2)
            dw = torch.zeros_like(matrix) if not len(planes) else None
            for image, column in zip(planes, columns):
                if dw is None:
                    spare = None if call.diff is None else call.diff.spare(matrix.shape)
                    dw = torch.mm(image, column, out=spare)
                else:
                    dw.addmm_(image, column)
        return dx, dw

    @staticmethod
    def _weights_prevail(x: torch.Tensor, weight: torch.Tensor) -> bool:
        """Whether several images in NCHW memory are better laid out anew: as one product of all
        positions they read the weights, and write their gradient, once."""
        n, c, h, w = x.shape
        o = weight.shape[0]
        return n > 1 and o * c > h * w * (c + o)

    def _strided_gradients(
        self, call: Call, dy: torch.Tensor, mask: Mask
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        g, seen = call.geometry, _strided(call.geometry, call.x)
        of_seen = g._replace(stride=[1, 1], bottom=tuple(seen.shape))
        d, dw = self._gradients(call._replace(geometry=of_seen, x=seen), dy, mask)
        if d is None:
            return None, dw
        dx = torch.zeros_like(call.x)
        dx[:, :, :: g.stride[0], :: g.stride[1]] = d
        return dx, dw


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
        out = _channels_last_memory(call.geometry, out)
        u = self._prepared(call)
        for image, y in zip(_nhwc(call.x), _nhwc(out)):
            for block in blocks or (None,):
                winograd.forward(image, u, call.bias, y, relu, block)
        return out

    def _strip(self, call: Call, relu: bool, y: torch.Tensor, block: Block) -> None:
        u = self._prepared(call)
        for image, rows in zip(_nhwc(call.x), _nhwc(y)):
            winograd.forward(image, u, call.bias, rows, relu, block, above=block[0])

    def _gradients(
        self, call: Call, dy: torch.Tensor, mask: Mask
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        diffs, dx = _nhwc(dy), None
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
        for d, target in zip(diffs, _nhwc(dx)):
            winograd.forward(d, prepared, None, target)
        return dx

    def backward_pooled(self, call: Call, dy: PooledDiff, mask: Mask) -> Grads:
        return *self._from_rows(call, dy.rows, mask), dy.sums() if mask[2] else None

    def _from_rows(
        self, call: Call, rows: Callable[[int, int, int], torch.Tensor], mask: Mask
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The gradients of x and weights where ``rows`` gives an image's rows of the output's."""
        u = self._transformed(call)
        images = _nhwc(call.x)
        dx = _nhwc(native_convolution.bottom_memory(call)) if mask[0] else None
        dw = torch.zeros(call.weight.shape) if mask[1] else None
        if mask[0] or mask[1]:
            for i in range(len(images)):
                of_image = functools.partial(rows, i)
                winograd.backward(images[i], u, of_image, None if dx is None else dx[i], dw)
        return None if dx is None else _nchw(dx), dw

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


class Columns(Way):
    """A matrix product with the weights as they lie in memory.  For large weights and few outputs
    (FCN's fc6), which the general operator lays out anew in every call; and for one small image,
    where its call takes longer than its work."""

    name = "columns"

    def applies(self, g: Geometry, weight: torch.Tensor) -> bool:
        if not g.plain:
            return False
        positions = g.top[0] * g.top[2] * g.top[3]
        if _few_columns(g, weight):
            return True
        return positions <= _COLUMNS_MOST_OUTPUTS and weight.numel() >= _COLUMNS_LEAST_WEIGHTS

    def backward(self, call: Call, dy: torch.Tensor, mask: Mask) -> Grads:
        g, x, weight = call.geometry, call.x, call.weight
        if not _small(g, x, weight):
            return super().backward(call, dy, mask)
        dw = None if call.diff is None else call.diff.spare(tuple(weight.shape))
        dw = floats(weight.shape) if dw is None else dw
        given = floats(x.shape), dw, floats((g.top[1],))
        dx, dw, db = (t if wanted else None for t, wanted in zip(given, mask))
        small_convolution.gradients(x, weight, dy, g.stride, g.pad, dx, dw, db)
        return dx, dw, db

    def _whole(self, call: Call) -> torch.Tensor:
        g, x = call.geometry, call.x
        if _small(g, x, call.weight):
            return small_convolution.convolve(x, call.weight, call.bias, g.top, g.stride, g.pad)
        matrix, columns = call.weight.flatten(1), _columns(g, x)
        if call.bias is None:
            y = torch.mm(matrix, columns)
        else:
            y = torch.addmm(call.bias[:, None], matrix, columns)
        n, o, h, w = call.geometry.top
        return y.view(o, n, h, w).transpose(0, 1).contiguous()

    def _gradients(
        self, call: Call, dy: torch.Tensor, mask: Mask
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        g = call.geometry
        rows = dy.transpose(0, 1).reshape(g.top[1], -1)  # (O, N H W)
        dw = None
        if mask[1]:
            shape = len(rows), call.weight[0].numel()
            spare = None if call.diff is None else call.diff.spare(shape)
            dw = torch.mm(rows, _columns(g, call.x).t(), out=spare)
        dx = _from_columns(g, torch.mm(call.weight.flatten(1).t(), rows)) if mask[0] else None
        return dx, dw


class General(Way):
    """PyTorch's operator."""

    name = "general"
    in_blocks = True

    def forward(
        self,
        call: Call,
        relu: bool = False,
        out: torch.Tensor | None = None,
        blocks: Sequence[Block] | None = None,
    ) -> torch.Tensor:
        g = call.geometry
        if blocks is None:
            if not _in_strips(g, call.weight):
                return super().forward(call, relu)
            blocks = [(0, g.top[2], 0, g.top[3])]
        out = _channels_last_memory(g, out)
        for r0, r1, c0, c1 in blocks:
            rows = self.strip_rows(g._replace(top=(*g.top[:3], c1 - c0)))
            for r in range(r0, r1, rows):
                end = min(r + rows, r1)
                self._strip(call, relu, out[:, :, r:end, c0:c1], (r, end, c0, c1))
        return out

    def _strip(self, call: Call, relu: bool, y: torch.Tensor, block: Block) -> None:
        _general_block(call, relu, y, block)

    def _whole(self, call: Call) -> torch.Tensor:
        g = call.geometry
        x = call.x
        if kernels.enabled() and _weights_prevail(g, call.weight):
            x = planes(x)
        else:
            x = _general_layout(g, x)
        return torch.convolution(x, call.weight, call.bias, *_settings(g))

    def backward(self, call: Call, dy: torch.Tensor, mask: Mask) -> Grads:
        g, x = call.geometry, call.x
        if kernels.enabled() and not any(mask[:2]):  # a sixth of the operator's time
            return None, None, dy.sum((0, 2, 3)) if mask[2] else None
        if kernels.enabled():
            # Blobs in either layout keep it, unless the weights are large.  Where each channel has
            # its own kernel, channels-last is twice as fast in any case.
            own = g.group == g.bottom[1] == g.top[1] and len(g.kernel) == 2
            small = not _weights_prevail(g, call.weight)
            last = own or (small and (is_channels_last(x) or is_channels_last(dy)))
            layout = torch.channels_last if last else torch.contiguous_format
            dy, x = dy.contiguous(memory_format=layout), x.contiguous(memory_format=layout)
            if own and mask[1] and g.kernel[1] > _OWN_KERNEL_WIDTH and list(g.dilation) == [1, 1]:
                narrow = _wide_own_gradient(g, x, dy)
                dx = General.backward(self, call, dy, [True, False, False])[0] if mask[0] else None
                # The operator would find the weights' gradient again for the sake of the bias'.
                return dx, narrow, dy.sum((0, 2, 3)) if mask[2] else None
            if mask[1] and not mask[0] and _few_inputs(g) and dy.numel() >= _APART_LEAST_OUTPUT:
                return None, _by_columns(g, x, dy), dy.sum((0, 2, 3)) if mask[2] else None
        # Beside the weights' gradient oneDNN takes many times as long for the bias' as a sum does.
        apart = mask[1] and mask[2] and dy.numel() >= _APART_LEAST_OUTPUT
        wanted = [mask[0], mask[1], mask[2] and not apart]
        dx, dw, db = torch.ops.aten.convolution_backward(
            dy, x, call.weight, [g.top[1]], *_settings(g), wanted
        )
        db = dy.sum((0, 2, 3)) if apart else db
        # A gradient in channels-last memory would make the update several times as slow.
        return dx, None if dw is None else dw.contiguous(), db

    def backward_pooled(self, call: Call, dy: PooledDiff, mask: Mask) -> Grads:
        """Strip by strip, so that ``dy`` stays in the cache."""
        g, weight = call.geometry, call.weight
        same = all(2 * p == k - 1 for p, k in zip(g.pad, g.kernel))
        if not (g.unit and same and _in_strips(g, weight)):
            return super().backward_pooled(call, dy, mask)
        x = call.x.contiguous(memory_format=torch.channels_last)
        dx = native_convolution.bottom_memory(call) if mask[0] else None
        dw = torch.zeros(weight.shape) if mask[1] else None
        turned = weight.transpose(0, 1).flip(2, 3).contiguous()
        settings = [1, 1], [0, g.pad[1]], [1, 1], False, [0, 0], 1
        height, reach, rows = g.top[2], g.pad[0], self.strip_rows(g)
        for i in range(g.top[0]):
            for first in range(0, height, rows):
                end = min(first + rows, height)
                above, below = max(first - reach, 0), min(end + reach, height)
                d = dy.rows(i, above, below).permute(2, 0, 1)[None]
                pads = 0, 0, above - (first - reach), end + reach - below
                if dx is not None:
                    seen = F.pad(d, pads) if any(pads) else d
                    dx[i : i + 1, :, first:end] = torch.convolution(seen, turned, None, *settings)
                if dw is not None:
                    part = x[i : i + 1, :, above:below]
                    part = F.pad(part, pads) if any(pads) else part
                    d = d[:, :, first - above : end - above]
                    none = [False, True, False]
                    dw += torch.ops.aten.convolution_backward(
                        d, part, weight, [g.top[1]], *settings, none
                    )[1]
        return dx, dw, dy.sums() if mask[2] else None


def columns(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Sequence[int],
    pad: Sequence[int],
) -> torch.Tensor:
    """A convolution with the weights as they lie in memory, of which the general operator would
    make a copy."""
    kernel, unit = weight.shape[2:], (1, 1)
    sizes = zip(x.shape[2:], kernel, stride, pad)
    top = x.shape[0], len(weight), *((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)
    geometry = Geometry(kernel, stride, pad, unit, 1, x.shape, top)
    return Columns()._whole(Call(geometry, x, weight, bias, Storage(0)))


GENERAL = General()
WAYS: tuple[Way, ...] = (Pointwise(), Winograd(), Columns(), GENERAL)  # the first that applies


def choose(g: Geometry, weight: torch.Tensor) -> Way:
    """The fastest way for this geometry."""
    ways = WAYS if kernels.enabled() else (GENERAL,)
    return next(way for way in ways if way.applies(g, weight))


def _in_strips(g: Geometry, weight: torch.Tensor) -> bool:
    """Whether the general operator computes an output strip by strip: a large one, so that it is
    written once, after the ReLU, and into memory that is there already."""
    large = g.group == 1 and len(g.kernel) == 2 and math.prod(g.top) >= _STRIPS_LEAST_OUTPUT
    return large and kernels.enabled() and g.top[1] >= _CHANNELS_LAST_LEAST_OUTPUT


def _channels_last_memory(g: Geometry, out: torch.Tensor | None) -> torch.Tensor:
    """``out`` where it is laid out so, else new memory of the shape ``g.top``."""
    if out is not None and out.is_contiguous(memory_format=torch.channels_last):
        return out
    return _nchw(torch.empty(g.top[0], g.top[2], g.top[3], g.top[1]))


def _strided(g: Geometry, x: torch.Tensor) -> torch.Tensor:
    """The positions of ``x`` that a 1x1 kernel sees, in the layout of ``x``."""
    if g.unit:
        return x
    layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
    return x[:, :, :: g.stride[0], :: g.stride[1]].contiguous(memory_format=layout)


def _wide_own_gradient(g: Geometry, x: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """The gradient of the weights where each channel has its own kernel, a few columns at a time:
    oneDNN has a fast kernel for up to three of them, several times as fast as the general one."""
    width, w = g.kernel[1], g.top[3]
    dw = torch.empty(g.top[1], 1, *g.kernel)
    settings = list(g.stride), [g.pad[0], 0], [1, 1], False, [0, 0], g.group
    for j in range(0, width, _OWN_KERNEL_WIDTH):
        j = min(j, width - _OWN_KERNEL_WIDTH)
        left = g.pad[1] - j  # zeros to the left of what these columns see; below 0 they begin in x
        right = (w - 1) * g.stride[1] + _OWN_KERNEL_WIDTH - left - x.shape[3]
        part = dw[..., j : j + _OWN_KERNEL_WIDTH]
        part[...] = torch.ops.aten.convolution_backward(
            dy, F.pad(x, (left, right)), part, [0], *settings, [False, True, False]
        )[1]
    return dw


def _few_inputs(g: Geometry) -> bool:
    """Whether an output is made of few numbers, as in the layer that sees the image."""
    return g.unit and len(g.kernel) == 2 and g.bottom[1] * math.prod(g.kernel) <= _FEW_INPUTS


def _by_columns(g: Geometry, x: torch.Tensor, dy: torch.Tensor) -> torch.Tensor:
    """The gradient of the weights as products, strip by strip: oneDNN's takes as long, and half of
    ``dy`` in memory."""
    kh, kw = g.kernel
    x = F.pad(x.contiguous(), (g.pad[1], g.pad[1], g.pad[0], g.pad[0]))
    dw = torch.zeros(x.shape[1] * kh * kw, g.top[1])
    for image, diffs in zip(x, _nhwc(dy)):
        for r in range(0, g.top[2], 2 * _STRIP_ROWS):
            rows = diffs[r : r + 2 * _STRIP_ROWS]
            seen = image[:, r : r + len(rows) + kh - 1].unfold(1, kh, 1).unfold(2, kw, 1)
            dw.addmm_(seen.permute(0, 3, 4, 1, 2).reshape(len(dw), -1), rows.flatten(0, 1))
    return dw.t().reshape(g.top[1], -1, kh, kw)


def _weights_prevail(g: Geometry, weight: torch.Tensor) -> bool:
    """Whether there are more weights than numbers in bottom and top, or very many.

    PyTorch's operator lays the weights out anew for channels-last in every call, and their gradient
    back, by a slow copy; then NCHW is faster, by up to 4 times.
    """
    numbers = math.prod(g.bottom) + math.prod(g.top)
    return weight.numel() >= min(_COLUMNS_LEAST_WEIGHTS, numbers)


def _general_layout(g: Geometry, x: torch.Tensor) -> torch.Tensor:
    """``x`` in the memory layout that PyTorch's operator is fastest with."""
    if kernels.enabled() and g.group == 1 and g.top[1] >= _CHANNELS_LAST_LEAST_OUTPUT:
        return fused.last(x)
    return x


def _general_block(call: Call, relu: bool, target: torch.Tensor, block: Block) -> None:
    """Write one block of the convolution, from the part of ``x`` that it sees."""
    g = call.geometry
    part = _general_layout(g, call.x)
    pads: list[int] = []  # zeros around the part, in the order of F.pad
    for axis in (1, 0):
        first, end = block[2 * axis : 2 * axis + 2]
        lo = first * g.stride[axis] - g.pad[axis]
        hi = (end - 1) * g.stride[axis] - g.pad[axis] + g.dilation[axis] * (g.kernel[axis] - 1) + 1
        size = call.x.shape[2 + axis]
        begin = min(max(lo, 0), size)
        stop = max(min(hi, size), begin)
        part = part.narrow(2 + axis, begin, stop - begin)
        before = min(max(-lo, 0), hi - lo - (stop - begin))
        pads += [before, hi - lo - (stop - begin) - before]
    part = F.pad(part, pads) if any(pads) else part
    settings = list(g.stride), [0, 0], list(g.dilation), False, [0, 0], g.group
    result = torch.convolution(_general_layout(g, part), call.weight, call.bias, *settings)
    if relu:
        torch.clamp_min(result, 0, out=target)
    else:
        target.copy_(result)


def diagonal(weight: torch.Tensor, storage: Storage) -> torch.Tensor | None:
    """The (C, 1, kh, kw) kernels of a (C, C, kh, kw) deconvolution that mixes no channels.

    None where it does mix them.  FCN's upsampling is of this kind; run with a group for each
    channel it takes a C-th of the work, and the terms left out are exact zeros.
    """
    if not kernels.enabled() or weight.ndim != 4 or weight.shape[0] != weight.shape[1]:
        return None
    if len(weight) == 1:
        return None

    def extract() -> torch.Tensor | None:
        kernels_ = torch.diagonal(weight, dim1=0, dim2=1).permute(2, 0, 1).unsqueeze(1)
        same = torch.count_nonzero(weight) == torch.count_nonzero(kernels_)
        return kernels_.contiguous() if same else None

    return storage.cached("diagonal", extract)


def _settings(g: Geometry) -> tuple:
    return list(g.stride), list(g.pad), list(g.dilation), False, [0, 0], g.group


def is_channels_last(x: torch.Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _nhwc(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) in any memory format -> contiguous (N, H, W, C), copied only if need be."""
    return x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)


def _nchw(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 3, 1, 2)


def _columns(g: Geometry, x: torch.Tensor) -> torch.Tensor:
    """(C kh kw, N H' W'): what each output is the product of, as columns."""
    if any(g.pad):
        x = F.pad(x, (g.pad[1], g.pad[1], g.pad[0], g.pad[0]))
    windows = x.unfold(2, g.kernel[0], g.stride[0]).unfold(3, g.kernel[1], g.stride[1])
    return windows.permute(1, 4, 5, 0, 2, 3).reshape(-1, g.top[0] * g.top[2] * g.top[3])


def _few_columns(g: Geometry, weight: torch.Tensor) -> bool:
    """Whether the columns are few, of one image."""
    return g.top[0] == 1 and math.prod((*weight.shape[1:], *g.top[2:])) <= _COLUMNS_FEW


def _small(g: Geometry, x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether the native kernels' way for one small image is for this."""
    few = _few_columns(g, weight) and len(g.kernel) == 2 and kernels.enabled()
    return few and small_convolution.applies(x)


def _from_columns(g: Geometry, columns: torch.Tensor) -> torch.Tensor:
    """The adjoint of :func:`_columns`."""
    n = g.bottom[0]
    columns = columns.view(len(columns), n, -1).transpose(0, 1)
    return F.fold(
        columns, tuple(g.bottom[2:]), tuple(g.kernel), padding=tuple(g.pad), stride=tuple(g.stride)
    )
