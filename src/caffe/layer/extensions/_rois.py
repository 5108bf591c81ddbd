"""What the layers that pool regions of interest share: the second bottom, and C's rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from caffe.errors import DataError, LayerError
from caffe.kernels.division import divide
from caffe.layer import Shape
from caffe.layer._indices import IndexReader, Limits, Wrong

if TYPE_CHECKING:
    from caffe.blob import Blob

_FAR = 2.0**30  # no image is that large; a rounded coordinate stays an int


class RegionReader(IndexReader):
    """Base of the layers whose second bottom is R regions ``(item, x1, y1, x2, y2)``, R x 5 or of
    as many values in other axes.  Corners are pixels of the image, both inside the region; they
    get no gradient."""

    bottoms = 2
    no_gradient = frozenset({1})
    refuses_in_place = True

    def check_regions(self, bottom_shapes: Sequence[Shape]) -> int:
        """The number of regions; raises ShapeError where the bottoms have other axes."""
        features, regions = bottom_shapes
        if len(features) != 4:
            raise self.fail(f"the first bottom must have 4 axes (N, C, H, W), got {features}")
        if not regions or math.prod(regions[1:]) != 5:
            raise self.fail(
                "the second bottom must be R x 5: for each region the item of the batch and the "
                f"corners x1, y1, x2, y2; got {regions}"
            )
        return regions[0]

    def positive(self, **values: int) -> None:
        """Raise LayerError for a setting that is not positive."""
        for name, value in values.items():
            if value < 1:
                raise self.fail(f"{name} must be positive, got {value}", LayerError)

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        return Limits(bottom_shapes[0][0])

    def wrong_index(self, wrong: Wrong, limits: Limits) -> Exception:
        return self.fail(
            f"region {wrong.position[0]} belongs to item {wrong.value:g} of the batch; expected 0 "
            f"to {limits.size - 1}, the first bottom has {limits.size} item(s). The columns of the "
            "second bottom are item, x1, y1, x2, y2",
            DataError,
        )

    def _on_host(self, bottom: list[Blob]) -> tuple[torch.Tensor, Limits] | None:
        found = super()._on_host(bottom)
        return found and (found[0].reshape(-1, 5)[:, 0], found[1])

    def regions(self, bottoms: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Each region's item, int64 (R), and its corners, float32 (R, 4)."""
        values = bottoms[1].reshape(-1, 5)
        items, _ = self.indices(values[:, 0], self.limits([bottoms[0].shape]))
        return items, values[:, 1:]


class GridReader(RegionReader):
    """Base of those that make a grid of ``pooled_h`` x ``pooled_w`` windows of every channel of a
    region, by the settings of that name."""

    def set_grid(self, param: Any) -> None:
        self.positive(pooled_h=param.pooled_h, pooled_w=param.pooled_w)
        self.pooled, self.scale = (param.pooled_h, param.pooled_w), param.spatial_scale

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        count = self.check_regions(bottom_shapes)
        return [(count, bottom_shapes[0][1], *self.pooled)]


def c_round(x: torch.Tensor) -> torch.Tensor:
    """C's ``round`` of float32 numbers, halves away from zero, as float64 within int's range."""
    x = x.double().nan_to_num_(nan=0.0).clamp_(-_FAR, _FAR)
    return x.abs().add_(0.5).floor_().mul_(x.sign())


def edges(size: torch.Tensor, count: int) -> torch.Tensor:
    """Where ``count`` equal parts of each of R sizes begin, and where the last ends: float32
    (R, count + 1), as the forks' code computes it."""
    step = divide(size.float(), count)[:, None]
    return torch.arange(count + 1, dtype=torch.float32, device=size.device) * step
