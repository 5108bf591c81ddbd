"""Accum: maps of several sizes side by side, at one size (FlowNet 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from caffe.layer import Layer, Shape, Tensors, register


@register("Accum")
class Accum(Layer):
    """N x C_i x H_i x W_i to N x (sum of C_i) x H x W, each resized bilinearly with its corners
    kept.

    ``accum_param``: with ``have_reference`` the last bottom gives nothing but the size.  Else
    ``top_height`` and ``top_width``, or with ``size_divisible_by`` the next multiples of the
    largest sizes, where both exceed the largest of the bottoms; those otherwise.
    """

    bottoms = (1, None)
    refuses_in_place = True

    def __init__(self, param: object, phase: int) -> None:
        super().__init__(param, phase)
        self.has_reference = self.param.accum_param.have_reference
        if self.has_reference:
            self.bottoms = (2, None)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        p = self.param.accum_param
        if any(len(s) != 4 or s[0] != bottom_shapes[0][0] for s in bottom_shapes):
            raise self.fail(
                f"the bottoms must have 4 axes (N, C, H, W) and as many items, got {bottom_shapes}"
            )
        maps = bottom_shapes[:-1] if self.has_reference else bottom_shapes
        largest = [max(s[axis] for s in bottom_shapes) for axis in (2, 3)]
        if self.has_reference:
            self.size = list(bottom_shapes[-1][2:])
        elif p.size_divisible_by:
            by = p.size_divisible_by
            self.size = [-(-n // by) * by for n in largest]
        else:
            self.size = [p.top_height, p.top_width]
        if not self.has_reference and not all(n > m for n, m in zip(self.size, largest)):
            self.size = largest
        return [(bottom_shapes[0][0], sum(s[1] for s in maps), *self.size)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        maps = bottoms[:-1] if self.has_reference else bottoms
        sized = [F.interpolate(x, self.size, mode="bilinear", align_corners=True) for x in maps]
        return [torch.cat(sized, 1)]
