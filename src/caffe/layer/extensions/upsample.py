"""Upsample: unpooling by a pooling mask (SegNet, ENet), or nearest neighbour (YOLO converted)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe.errors import DataError, LayerError
from caffe.layer import MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._indices import IndexReader, Limits, Wrong


@register("Upsample")
class Upsample(IndexReader):
    """With two bottoms, each value of the first goes where the second, the mask, says: the index
    ``h W' + w`` that MAX Pooling gives as its second top.  All else is 0.  Where several values
    have one place (overlapping pooling windows), the last in raster order stays and alone gets the
    gradient; a mask of -1 (a window without a maximum) places nothing.

    The size is ``upsample_h`` x ``upsample_w`` where both are given; else that of the bottom times
    ``scale``, or ``scale_h`` and ``scale_w``, less one where ``pad_out_h`` or ``pad_out_w``, for
    a pooling that rounded up.  W' must be the width that the mask was made at.

    With one bottom every pixel becomes ``scale`` x ``scale`` equal ones.
    """

    bottoms = (1, 2)
    refuses_in_place = True
    no_gradient = frozenset({1})

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.upsample_param
        for a, b in (("scale_h", "scale_w"), ("upsample_h", "upsample_w")):
            if p.HasField(a) != p.HasField(b):
                raise self.fail(f"{a} and {b} must be given together", LayerError)
        if p.HasField("scale") and p.HasField("scale_h"):
            raise self.fail("give scale, or scale_h and scale_w, not both", LayerError)
        self.scale = [p.scale_h, p.scale_w] if p.HasField("scale_h") else [p.scale] * 2
        self.size = [p.upsample_h, p.upsample_w] if p.HasField("upsample_h") else None
        self.less = [int(p.pad_out_h), int(p.pad_out_w)]
        if min(self.size or self.scale) < 1:
            raise self.fail(f"the size must be positive, got {self.size or self.scale}", LayerError)
        if self.num_bottoms == 1 and (
            self.size or any(self.less) or not (p.HasField("scale") or p.HasField("scale_h"))
        ):
            raise self.fail(
                "without a mask (a second bottom) takes scale, or scale_h and scale_w, and "
                "nothing else",
                LayerError,
            )
        if not self.size and any(a and s != 2 for a, s in zip(self.less, self.scale)):
            raise self.fail("pad_out_h and pad_out_w need a scale of 2", LayerError)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) != 4:
            raise self.fail(f"the bottom must have 4 axes (N, C, H, W), got {shape}")
        if self.num_bottoms == 2 and tuple(bottom_shapes[1]) != tuple(shape):
            raise self.fail(
                f"the mask must have the shape of the bottom, {shape}, got {bottom_shapes[1]}"
            )
        scaled = [n * s - less for n, s, less in zip(shape[2:], self.scale, self.less)]
        self.out = self.size or scaled
        return [(*shape[:2], *self.out)]

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        return Limits(self.out[0] * self.out[1], ignored=-1)

    def wrong_index(self, wrong: Wrong, limits: Limits) -> Exception:
        return self.fail(
            f"the mask points outside the top of {self.out}: it has the value {wrong.value:g} at "
            f"position {wrong.position}. It must be the second top of a MAX Pooling whose bottom "
            "had this size; set upsample_h and upsample_w to that",
            DataError,
        )

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        if self.num_bottoms == 1:
            return [F.interpolate(x, scale_factor=[float(s) for s in self.scale], mode="nearest")]
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
