"""ROIAlign: means of points inside windows of regions of interest (Mask R-CNN)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.kernels.division import divide
from caffe.layer import Shape, Tensors, register
from caffe.layer.extensions._rois import GridReader

_MEMORY = 1 << 24  # numbers in the copies of the features, for some regions at a time


@register("ROIAlign")
class ROIAlign(GridReader):
    """Features N x C x H x W and R regions to R x C x ``pooled_h`` x ``pooled_w``.

    The corners times ``spatial_scale`` are not rounded; a region is at least one pixel long and
    wide.  Each of its equal windows is the mean of ``sampling_ratio`` x ``sampling_ratio`` points,
    spread evenly; with 0 or less of as many a side as the window has pixels, rounded up.  A point
    is interpolated between the four pixels around it; up to one pixel outside the image it counts
    as the border, farther outside as 0.  This is the rule of Detectron and ONNX, and torchvision's
    with ``aligned=False``.

    Forks gave the name to other rules as well: ports that keep its settings in
    ``roi_pooling_param`` take one point a window or its corners, and one took the maximum of four
    points of the region.  Weights that were trained with those expect their rule.

    The gradient goes to the features, each pixel by its share in each point.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.roi_align_param
        if self.param.HasField("roi_pooling_param"):
            raise self.fail(
                "its settings stand in roi_pooling_param, as in ports that take other points of a "
                "window than this layer: their rule is not implemented. For the rule of the paper "
                "write roi_align_param { pooled_h: ... pooled_w: ... spatial_scale: ... "
                "sampling_ratio: 2 }",
                LayerError,
            )
        self.set_grid(p)
        if not p.spatial_scale > 0:
            raise self.fail(f"spatial_scale must be positive, got {p.spatial_scale:g}", LayerError)
        self.ratio = max(p.sampling_ratio, 0)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        items, corners = self.regions(bottoms)
        corners = corners * self.scale
        rows = self._shares(corners[:, 1], corners[:, 3], self.pooled[0], x.shape[2])
        columns = self._shares(corners[:, 0], corners[:, 2], self.pooled[1], x.shape[3])
        some = max(1, _MEMORY // max(1, x[0].numel()))
        parts = [
            r[:, None] @ x[i] @ c[:, None].transpose(2, 3)
            for i, r, c in zip(items.split(some), rows.split(some), columns.split(some))
        ]
        return [torch.cat(parts) if parts else x.new_empty(0, x.shape[1], *self.pooled)]

    def _shares(
        self, start: torch.Tensor, end: torch.Tensor, windows: int, size: int
    ) -> torch.Tensor:
        """The share of each of ``size`` pixels in each window along one axis: R x windows x size.

        Points outside the image have none, so of a large region only those inside are looked at:
        as they are at least half a pixel apart where a window has several, their number is bounded.
        """
        window = divide((end - start).clamp(min=1), windows)[:, None]  # (R, 1)
        if self.ratio:
            points = torch.full_like(window, self.ratio)
            count, first = windows * self.ratio, torch.zeros_like(window)
        else:
            points = window.ceil()
            count = max(windows, 2 * size + 6)
            first = ((-1 - start[:, None]) * points / window).floor().sub_(1).clamp_(min=0)
        number = first + torch.arange(count, device=start.device)  # of the point in its region
        inside = (number / points).floor()
        place = (
            start[:, None] + inside * window + (number - inside * points + 0.5) * window / points
        )
        counts = (inside < windows) & (place >= -1) & (place <= size)
        pixel = torch.arange(size, device=start.device)
        near = (1 - (place.clamp(0, size - 1)[..., None] - pixel).abs()).clamp_(min=0)
        near = near * (counts / points)[..., None]  # (R, count, size)
        window_of = inside.clamp(max=windows - 1).long()
        shares = near.new_zeros(len(start), windows, size)
        return shares.scatter_add_(1, window_of[..., None].expand_as(near), near)
