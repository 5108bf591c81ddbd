"""Resize: bilinear resizing from the first pixel (forks for surface normals and pyramids)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register


@register("Resize")
class Resize(Layer):
    """N x C x H x W to N x C x H' x W'.  Row i of the top lies at ``i H / H'`` of the bottom and
    is interpolated between the rows beside it; behind the last row there is 0.  So with columns.

    ``resize_param``: ``height`` and ``width``; or, with ``is_pyramid_test``, ``out_height_scale``
    and ``out_width_scale``, by which the bottom's size is multiplied and rounded down.
    """

    refuses_in_place = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.resize_param
        names = (
            ("out_height_scale", "out_width_scale") if p.is_pyramid_test else ("height", "width")
        )
        if not all(p.HasField(name) and getattr(p, name) > 0 for name in names):
            raise self.fail(f"needs a positive {names[0]} and {names[1]}", LayerError)
        self.scales = [p.out_height_scale, p.out_width_scale] if p.is_pyramid_test else None
        self.size = [p.height, p.width]

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) != 4:
            raise self.fail(f"the bottom must have 4 axes (N, C, H, W), got {shape}")
        if self.scales:
            self.size = [int(n * scale) for n, scale in zip(shape[2:], self.scales)]
        if min(self.size) < 1:
            raise self.fail(f"the output would have the size {self.size} for a bottom of {shape}")
        return [(*shape[:2], *self.size)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        rows, columns = (_weights(old, new, x.device) for old, new in zip(x.shape[2:], self.size))
        return [rows @ x @ columns.T]


def _weights(old: int, new: int, device: torch.device) -> torch.Tensor:
    """The share of each old pixel in each new one, new x old."""
    place = torch.arange(new, dtype=torch.float32, device=device) * (old / new)
    first = place.floor().clamp_(max=old - 1)
    share = (place - first)[:, None]
    pixel = torch.arange(old, device=device)
    left, right = pixel == first[:, None], pixel == first[:, None] + 1
    return left * (1 - share) + right * share
