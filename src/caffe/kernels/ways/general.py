"""Any convolution, by PyTorch's operator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe import kernels
from caffe._planes import planes
from caffe.kernels import fused, native_convolution
from caffe.kernels.layout import channels_last_memory, is_channels_last, nhwc
from caffe.kernels.pooling import PooledDiff
from caffe.kernels.ways import STRIP_ROWS, Call, Geometry, Grads, Mask, Way
from caffe.kernels.window import Block

__all__ = ["General"]

_MANY_WEIGHTS = 1 << 20
_CHANNELS_LAST_LEAST_OUTPUT = 16
_OWN_KERNEL_WIDTH = 3
_APART_LEAST_OUTPUT = 1 << 20
_FEW_INPUTS = 64
_STRIPS_LEAST_OUTPUT = 1 << 22


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
        out = channels_last_memory(g.top, out)
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


def _in_strips(g: Geometry, weight: torch.Tensor) -> bool:
    """Whether the general operator computes an output strip by strip: a large one, so that it is
    written once, after the ReLU, and into memory that is there already."""
    large = g.group == 1 and len(g.kernel) == 2 and math.prod(g.top) >= _STRIPS_LEAST_OUTPUT
    return large and kernels.enabled() and g.top[1] >= _CHANNELS_LAST_LEAST_OUTPUT


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
    for image, diffs in zip(x, nhwc(dy)):
        for r in range(0, g.top[2], 2 * STRIP_ROWS):
            rows = diffs[r : r + 2 * STRIP_ROWS]
            seen = image[:, r : r + len(rows) + kh - 1].unfold(1, kh, 1).unfold(2, kw, 1)
            dw.addmm_(seen.permute(0, 3, 4, 1, 2).reshape(len(dw), -1), rows.flatten(0, 1))
    return dw.t().reshape(g.top[1], -1, kh, kw)


def _weights_prevail(g: Geometry, weight: torch.Tensor) -> bool:
    """Whether there are more weights than numbers in bottom and top, or very many.

    PyTorch's operator lays the weights out anew for channels-last in every call, and their gradient
    back, by a slow copy; then NCHW is faster, by up to 4 times.
    """
    numbers = math.prod(g.bottom) + math.prod(g.top)
    return weight.numel() >= min(_MANY_WEIGHTS, numbers)


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


def _settings(g: Geometry) -> tuple:
    return list(g.stride), list(g.pad), list(g.dilation), False, [0, 0], g.group
