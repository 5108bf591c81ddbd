"""ROIPooling: maxima over windows of regions of interest (Fast R-CNN)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from caffe.layer import MaybeTensors, Need, Shape, Tensors, register
from caffe.layer.extensions._rois import GridReader, c_round, edges

LOWEST = torch.finfo(torch.float32).min
_MEMORY = 1 << 23  # numbers in the maxima of all sizes, for some channels at a time


class Windows(NamedTuple):
    """The R x P x Q windows inside the image, int64: rows ``top`` to ``bottom`` (exclusive), R x P;
    columns ``left`` to ``right``, R x Q.

    empty: which hold no pixel, R x P x Q.
    backwards: which regions end before they start, R.
    """

    top: torch.Tensor
    bottom: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    empty: torch.Tensor
    backwards: torch.Tensor


@register("ROIPooling")
class ROIPooling(GridReader):
    """Features N x C x H x W and R regions to R x C x ``pooled_h`` x ``pooled_w``.

    The corners times ``spatial_scale`` are rounded, halves away from zero, and both ends count;
    the windows cover the region evenly, rounded outwards, so neighbours may overlap.  A region
    that ends before it starts counts as one pixel.  A window outside the image gives 0; NaN never
    wins, and a window of NaN alone gives -3.4e38.

    The gradient goes to the first maximum in raster order; none goes through regions that end
    before they start, as in Fast R-CNN.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.set_grid(self.param.roi_pooling_param)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        items, corners = self.regions(bottoms)
        top = x.new_zeros(len(items), x.shape[1], *self.pooled)
        if not top.numel() or not x.numel():
            return [top]
        windows = self._windows(corners, x.shape)
        values = torch.nan_to_num(x.float(), LOWEST, torch.inf, LOWEST).permute(0, 2, 3, 1)
        for part, maxima in _maxima(values, items, windows):
            top[:, part] = maxima.masked_fill_(windows.empty[..., None], 0).permute(0, 3, 1, 2)
        return [top]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None, None], []
        x, g = bottoms[0], top_diffs[0].permute(0, 2, 3, 1)
        diff = torch.zeros_like(x, memory_format=torch.contiguous_format)
        items, corners = self.regions(bottoms)
        if not g.numel() or not x.numel():
            return [diff, None], []
        windows = self._windows(corners, x.shape)
        without = (windows.empty | windows.backwards[:, None, None])[..., None]
        for part, best in _maxima(_keys(x), items, windows):
            value, pixel = _from_keys(best)
            given = torch.where(without | (value == LOWEST), 0.0, g[..., part])
            sums = torch.zeros(x.numel() // x.shape[1], best.shape[3], device=x.device)
            pixel = pixel.masked_fill_(without, 0)
            sums.scatter_add_(0, pixel.flatten(0, 2), given.flatten(0, 2))
            diff[:, part] = sums.view(x.shape[0], *x.shape[2:], -1).permute(0, 3, 1, 2)
        return [diff, None], []

    def _windows(self, corners: torch.Tensor, shape: Sequence[int]) -> Windows:
        x1, y1, x2, y2 = c_round(corners * self.scale).unbind(1)
        sides = []
        for start, end, count, size in zip((y1, x1), (y2, x2), self.pooled, shape[2:]):
            edge = edges((end - start + 1).clamp_(min=1), count)
            for inner in (edge[:, :-1].floor(), edge[:, 1:].ceil()):
                sides.append((inner.double() + start[:, None]).clamp_(0, size).long())
        top, bottom, left, right = sides
        empty = (bottom <= top)[:, :, None] | (right <= left)[:, None]
        return Windows(top, bottom, left, right, empty, (x2 < x1) | (y2 < y1))


def _maxima(
    values: torch.Tensor, items: torch.Tensor, windows: Windows
) -> Iterator[tuple[slice, torch.Tensor]]:
    """The maxima of ``values``, N x H x W x C, over the windows: for a slice of the channels after
    the other, R x P x Q x those.  Anything for empty windows.

    A maximum over 2^a x 2^b pixels is that of two over half as many; four such blocks that may
    overlap cover any window.
    """
    n, height, width, channels = values.shape
    sides = []
    for start, end, size in (
        (windows.top, windows.bottom, height),
        (windows.left, windows.right, width),
    ):
        # On a GPU the host does not wait to learn how large the largest window is.
        most = max(1, int((end - start).max())) if start.device.type == "cpu" else size
        levels = most.bit_length()
        power = torch.frexp((end - start).clamp(min=1).double()).exponent.long() - 1
        last = (end - 2**power).clamp_(min=0)
        sides.append((levels, power, start.clamp(max=size - 1), last))
    (rows, a, top, bottom), (columns, b, left, right) = sides
    block = (a[:, :, None] * columns + b[:, None]) * n + items[:, None, None]
    corners = [
        ((block * height + row[:, :, None]) * width + column[:, None]).flatten()
        for row in (top, bottom)
        for column in (left, right)
    ]
    step = max(1, _MEMORY // (rows * columns * n * height * width))
    for first in range(0, channels, step):
        part = slice(first, min(first + step, channels))
        table = _blocks(values[..., part], rows, columns).flatten(0, 4)
        best = table.index_select(0, corners[0])
        for corner in corners[1:]:
            torch.maximum(best, table.index_select(0, corner), out=best)
        yield part, best.view(*block.shape, -1)


def _blocks(values: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """The maxima over the 2^a x 2^b pixels (as far as there are) down and right of each pixel:
    rows x columns x N x H x W x C, for a < rows and b < columns."""
    table = values.new_empty(rows, columns, *values.shape)
    table[0, 0] = values
    for b in range(1, columns):
        _widen(table[0, b], table[0, b - 1], 2 ** (b - 1), 2)
    for a in range(1, rows):
        _widen(table[a], table[a - 1], 2 ** (a - 1), 2)
    return table


def _widen(new: torch.Tensor, old: torch.Tensor, shift: int, axis: int) -> None:
    """``new`` becomes the maxima of ``old`` and of ``old`` moved by ``shift`` along the axis."""
    new.copy_(old)
    left = old.shape[axis] - shift
    if left > 0:
        part = new.narrow(axis, 0, left)
        torch.maximum(part, old.narrow(axis, shift, left), out=part)


def _keys(x: torch.Tensor) -> torch.Tensor:
    """Int64 numbers, N x H x W x C, that order as the values do, and among equal values as the
    pixels do, first before last."""
    x = torch.nan_to_num(x.float(), LOWEST, torch.inf, LOWEST).permute(0, 2, 3, 1)
    bits = (x + 0.0).contiguous().view(torch.int32)  # -0 becomes 0
    order = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    pixel = torch.arange(x[..., :1].numel(), device=x.device).view(*x.shape[:3], 1)
    return order * 2**32 + (0x7FFFFFFF - pixel)


def _from_keys(keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The values and the pixels, as indices into N x H x W."""
    order = (keys >> 32).int()
    values = torch.where(order < 0, order ^ 0x7FFFFFFF, order).view(torch.float32)
    return values, 0x7FFFFFFF - (keys & 0xFFFFFFFF)
