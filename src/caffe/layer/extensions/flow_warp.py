"""FlowWarp: a picture looked up where a flow points (FlowNet 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.layer import Layer, Shape, Tensors, register


@register("FlowWarp")
class FlowWarp(Layer):
    """Pictures N x C x H x W and a flow N x 2 x H x W (x, y, in pixels) to N x C x H x W.

    Pixel (y, x) of the top is the picture at (y + flow_y, x + flow_x), interpolated between the
    four pixels around it, the last row and column standing for those behind them.  Where that lies
    outside, 0 <= x < W and 0 <= y < H, ``fill_value`` decides: ZERO or NOT_A_NUMBER.

    Both bottoms can receive a gradient; a pixel that was filled passes none on.
    """

    bottoms = 2
    refuses_in_place = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.flow_warp_param
        self.fill = math.nan if p.fill_value == p.NOT_A_NUMBER else 0.0

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        x, flow = bottom_shapes
        if len(x) != 4 or tuple(flow) != (x[0], 2, *x[2:]):
            raise self.fail(
                "the bottoms must be pictures N x C x H x W and their flow N x 2 x H x W, got "
                f"{x} and {flow}"
            )
        return [tuple(x)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x, flow = bottoms
        height, width = x.shape[2:]
        column = torch.arange(width, device=x.device) + flow[:, 0]  # (N, H, W)
        row = torch.arange(height, device=x.device)[:, None] + flow[:, 1]
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        column, row = (torch.where(inside, n, 0) for n in (column, row))
        left, top = column.detach().long(), row.detach().long()
        right, bottom = (left + 1).clamp_(max=width - 1), (top + 1).clamp_(max=height - 1)
        across, down = (column - left)[:, None], (row - top)[:, None]
        flat = x.flatten(2)

        def at(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            place = (y * width + x).flatten(1)[:, None].expand(-1, flat.shape[1], -1)
            return flat.gather(2, place).view(bottoms[0].shape)

        upper = (1 - across) * at(top, left) + across * at(top, right)
        lower = (1 - across) * at(bottom, left) + across * at(bottom, right)
        found = (1 - down) * upper + down * lower
        return [torch.where(inside[:, None], found, self.fill)]
