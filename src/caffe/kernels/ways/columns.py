"""Convolutions as one matrix product with columns: what each output is the product of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe import kernels
from caffe.kernels.ways import Call, Geometry, Grads, Mask, Way
from caffe.native import small_convolution
from caffe.native.calls import floats
from caffe.storage import Storage

__all__ = ["Columns", "convolve", "is_small"]

_LEAST_WEIGHTS = 1 << 20
_MOST_OUTPUTS = 1024


class Columns(Way):
    """A matrix product with the weights as they lie in memory.  For large weights and few outputs
    (FCN's fc6), which the general operator lays out anew in every call; and for one small image,
    where its call takes longer than its work."""

    name = "columns"

    def applies(self, g: Geometry, weight: torch.Tensor) -> bool:
        if not g.plain:
            return False
        positions = g.top[0] * g.top[2] * g.top[3]
        if g.few_columns:
            return True
        return positions <= _MOST_OUTPUTS and weight.numel() >= _LEAST_WEIGHTS

    def backward(self, call: Call, dy: torch.Tensor, mask: Mask) -> Grads:
        g, x, weight = call.geometry, call.x, call.weight
        if not is_small(g, x):
            return super().backward(call, dy, mask)
        dw = None if call.diff is None else call.diff.spare(tuple(weight.shape))
        dw = floats(weight.shape) if dw is None else dw
        given = floats(x.shape), dw, floats((g.top[1],))
        dx, dw, db = (t if wanted else None for t, wanted in zip(given, mask))
        small_convolution.gradients(x, weight, dy, g.stride, g.pad, dx, dw, db)
        return dx, dw, db

    def _whole(self, call: Call) -> torch.Tensor:
        g, x = call.geometry, call.x
        if is_small(g, x):
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


def convolve(
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


def _columns(g: Geometry, x: torch.Tensor) -> torch.Tensor:
    """(C kh kw, N H' W'): what each output is the product of, as columns."""
    if any(g.pad):
        x = F.pad(x, (g.pad[1], g.pad[1], g.pad[0], g.pad[0]))
    windows = x.unfold(2, g.kernel[0], g.stride[0]).unfold(3, g.kernel[1], g.stride[1])
    return windows.permute(1, 4, 5, 0, 2, 3).reshape(-1, g.top[0] * g.top[2] * g.top[3])


def is_small(g: Geometry, x: torch.Tensor) -> bool:
    """Whether the native kernels' way for one small image is for this."""
    few = g.few_columns and len(g.kernel) == 2 and kernels.enabled()
    return few and small_convolution.applies(x)


def _from_columns(g: Geometry, columns: torch.Tensor) -> torch.Tensor:
    """The adjoint of :func:`_columns`."""
    n = g.bottom[0]
    columns = columns.view(len(columns), n, -1).transpose(0, 1)
    return F.fold(
        columns, tuple(g.bottom[2:]), tuple(g.kernel), padding=tuple(g.pad), stride=tuple(g.stride)
    )
