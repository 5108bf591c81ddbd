"""PSROIPooling: position-sensitive means over windows of regions of interest (R-FCN)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import MaybeTensors, Need, Shape, Tensors, register
from caffe.layer.extensions._rois import RegionReader, c_round, edges


@register("PSROIPooling")
class PSROIPooling(RegionReader):
    """Features N x (``output_dim`` G G) x H x W and R regions to R x output_dim x G x G, with G =
    ``group_size``: window (p, q) of output channel c is the mean of channel ``(c G + p) G + q``.

    The corners are rounded in the image, halves away from zero, and both ends count; times
    ``spatial_scale`` they give the region, at least 0.1 pixels long and wide.  The windows cover it
    evenly, rounded outwards.  A window outside the image gives 0.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.psroi_pooling_param
        self.positive(output_dim=p.output_dim, group_size=p.group_size)
        if not p.spatial_scale > 0:
            raise self.fail(f"spatial_scale must be positive, got {p.spatial_scale:g}", LayerError)
        self.outputs, self.group, self.scale = p.output_dim, p.group_size, p.spatial_scale

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        count = self.check_regions(bottom_shapes)
        expected = self.outputs * self.group**2
        if bottom_shapes[0][1] != expected:
            raise self.fail(
                f"the first bottom must have output_dim group_size^2 = {self.outputs} x "
                f"{self.group}^2 = {expected} channels, got {bottom_shapes[0]}"
            )
        return [(count, self.outputs, self.group, self.group)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        corners, area = self._corners(bottoms)
        # Each sum is four of the sums up to a pixel, which need float64.
        sums = x.new_zeros(*x.shape[:2], x.shape[2] + 1, x.shape[3] + 1, dtype=torch.float64)
        torch.cumsum(x.double().cumsum(2), 3, out=sums[:, :, 1:, 1:])
        flat = sums.flatten()
        total = sum(flat[place].mul_(sign) for sign, place in corners)
        return [(total / area).float().view(-1, self.outputs, self.group, self.group)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None, None], []
        x = bottoms[0]
        corners, area = self._corners(bottoms)
        given = top_diffs[0].double().flatten(1) / area
        flat = x.new_zeros(
            x.shape[0] * x.shape[1] * (x.shape[2] + 1) * (x.shape[3] + 1), dtype=torch.float64
        )
        for sign, place in corners:
            flat.index_add_(0, place.flatten(), given.flatten(), alpha=sign)
        # What a pixel gets is the sum over all corners below and right of it.
        sums = flat.view(*x.shape[:2], x.shape[2] + 1, x.shape[3] + 1)[:, :, 1:, 1:]
        for axis in (2, 3):
            sums = sums.flip(axis).cumsum(axis).flip(axis)
        return [sums.float(), None], []

    def _corners(self, bottoms: Tensors) -> tuple[list[tuple[int, torch.Tensor]], torch.Tensor]:
        """The corners of all windows: a sign, and indices into sums N x C x (H+1) x (W+1), as R x
        (outputs G G); and the windows' areas, 1 where there is nothing, with all corners alike."""
        _, channels, height, width = bottoms[0].shape
        items, values = self.regions(bottoms)
        x1, y1, x2, y2 = c_round(values).unbind(1)
        sides = []
        for start, end, size in ((y1, y2, height), (x1, x2, width)):
            begin = start.float() * self.scale
            extent = ((end + 1).float() * self.scale - begin).clamp_(min=0.1)
            edge = edges(extent, self.group) + begin[:, None]
            low = edge[:, :-1].floor().clamp_(0, size).long()
            sides.append((low, edge[:, 1:].ceil().clamp_(0, size).long().maximum(low)))
        rows, columns = sides
        planes = (items[:, None] * channels + torch.arange(channels, device=items.device)).view(
            -1, self.outputs, self.group, self.group
        )
        corners = [
            (
                1 if (i == j) else -1,
                (
                    (planes * (height + 1) + rows[i][:, None, :, None]) * (width + 1)
                    + columns[j][:, None, None, :]
                ).flatten(1),
            )
            for i in (0, 1)
            for j in (0, 1)
        ]
        area = (rows[1] - rows[0])[:, :, None] * (columns[1] - columns[0])[:, None]
        area = area.clamp_(min=1)[:, None].expand(planes.shape).flatten(1)
        return corners, area
