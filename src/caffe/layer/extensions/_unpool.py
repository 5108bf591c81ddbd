"""What unpooling layers share: values that go where a pooling mask says."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import DataError
from caffe.layer import MaybeTensors, Need, Shape, Tensors
from caffe.layer._indices import IndexReader, Limits, Wrong


class MaskReader(IndexReader):
    """Base of the layers whose second bottom is the second top of a MAX Pooling.

    Each value of the first bottom goes where the mask says, the index ``h W' + w``.  All else is 0.
    Where several values have one place (overlapping pooling windows), the last in raster order
    stays and alone gets the gradient; a mask of -1 (a window without a maximum) places nothing.
    """

    bottoms: int | tuple[int, int | None] = (1, 2)
    refuses_in_place = True
    no_gradient = frozenset({1})
    remedy = ""  # how the size of the top is set
    out: Sequence[int]  # H', W'

    def check_mask(self, bottom_shapes: Sequence[Shape]) -> None:
        """Raise ShapeError where the bottoms are no images, or the mask has another shape."""
        shape = bottom_shapes[0]
        if len(shape) != 4:
            raise self.fail(f"the bottom must have 4 axes (N, C, H, W), got {shape}")
        if self.num_bottoms == 2 and tuple(bottom_shapes[1]) != tuple(shape):
            raise self.fail(
                f"the mask must have the shape of the bottom, {shape}, got {bottom_shapes[1]}"
            )

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        return Limits(self.out[0] * self.out[1], ignored=-1)

    def wrong_index(self, wrong: Wrong, limits: Limits) -> Exception:
        return self.fail(
            f"the mask points outside the top of {list(self.out)}: it has the value "
            f"{wrong.value:g} at position {wrong.position}. It must be the second top of a MAX "
            f"Pooling whose bottom had this size; {self.remedy}",
            DataError,
        )

    def unpool(self, bottoms: Tensors) -> Tensors:
        """The forward pass with a mask."""
        x = bottoms[0]
        winner, empty = self._winners(bottoms[1])
        top = x.flatten(2).gather(2, winner).masked_fill_(empty, 0)
        return [top.view(*x.shape[:2], *self.out)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if self.num_bottoms == 1 or not need.bottoms[0]:
            return super().backward(tops, top_diffs, bottoms, params, need)
        x = bottoms[0]
        winner, empty = self._winners(bottoms[1])
        g = top_diffs[0].flatten(2).masked_fill(empty, 0)
        diff = torch.zeros_like(x).flatten(2).scatter_add_(2, winner, g)
        return [diff.view(x.shape), None], []

    def _winners(self, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """For each place of the top, the position in the bottom that fills it (0 where none does),
        and whether none does; both N x C x (H' W').  The same on every device, scatter is not."""
        places = self.out[0] * self.out[1]
        place, placed = self.indices(mask, self.limits([]))
        if placed is not None:  # one place more takes the values without a place
            place = place.masked_fill_(placed.logical_not_(), places)
        place = place.flatten(2)
        winner = torch.full((*place.shape[:2], places + 1), -1, device=place.device)
        position = torch.arange(place.shape[2], device=place.device).expand_as(place)
        winner.scatter_reduce_(2, place, position, "amax")
        winner = winner[:, :, :places]
        return winner.clamp(min=0), winner < 0
