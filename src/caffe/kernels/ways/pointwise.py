"""1x1 convolutions: a matrix product over the channels."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from caffe.kernels.layout import is_channels_last, nchw, nhwc
from caffe.kernels.ways import Call, Geometry, Mask, Way

__all__ = ["Pointwise"]


class Pointwise(Way):
    """1x1: a matrix product over the channels, at the positions that a stride leaves."""

    name = "pointwise"

    def applies(self, g: Geometry, weight: torch.Tensor) -> bool:
        return g.plain and list(g.kernel) == [1, 1] and not any(g.pad)

    def _whole(self, call: Call) -> torch.Tensor:
        g, weight, bias = call.geometry, call.weight, call.bias
        x = _strided(g, call.x)
        if is_channels_last(x):
            return nchw(F.linear(nhwc(x), weight.flatten(1), bias))
        if self._weights_prevail(x, weight):
            return nchw(F.linear(nhwc(x), weight.flatten(1), bias)).contiguous()
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
            images = nhwc(x)
            rows = nhwc(dy).flatten(0, 2)
            if mask[0]:
                dx = nchw(torch.mm(rows, matrix).view(images.shape))
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


def _strided(g: Geometry, x: torch.Tensor) -> torch.Tensor:
    """The positions of ``x`` that a 1x1 kernel sees, in the layout of ``x``."""
    if g.unit:
        return x
    layout = torch.channels_last if is_channels_last(x) else torch.contiguous_format
    return x[:, :, :: g.stride[0], :: g.stride[1]].contiguous(memory_format=layout)
