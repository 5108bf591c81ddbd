"""Interp: bilinear resizing with aligned corners (DeepLab, PSPNet, ICNet)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register


@register("Interp")
class Interp(Layer):
    """N x C x H x W to N x C x H' x W'; the corner pixels keep their values.

    ``interp_param``: ``pad_beg`` and ``pad_end``, 0 or negative, cut rows and columns off first.
    Then, with h what is left: ``shrink_factor`` s gives (h - 1) / s + 1 rounded down,
    ``zoom_factor`` z gives h + (h - 1)(z - 1), both together shrink and then zoom; else ``height``
    and ``width`` are the size.  A factor wins over a size, as in DeepLab.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.interp_param
        self.shrink = p.shrink_factor if p.HasField("shrink_factor") else None
        self.zoom = p.zoom_factor if p.HasField("zoom_factor") else None
        self.size = [p.height, p.width]
        sized = p.HasField("height") and p.HasField("width")
        if self.shrink is None and self.zoom is None and not sized:
            raise self.fail(
                "needs zoom_factor, shrink_factor, or both height and width", LayerError
            )
        for what, value in (("shrink_factor", self.shrink), ("zoom_factor", self.zoom)):
            if value is not None and value < 1:
                raise self.fail(f"{what} must be at least 1, got {value}", LayerError)
        if p.pad_beg > 0 or p.pad_end > 0:
            raise self.fail(
                "pad_beg and pad_end can only cut (0 or negative), got "
                f"{p.pad_beg} and {p.pad_end}",
                LayerError,
            )
        self.first, self.cut = -p.pad_beg, -p.pad_end

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) != 4:
            raise self.fail(f"the bottom must have 4 axes (N, C, H, W), got {shape}")
        left = [n - self.first - self.cut for n in shape[2:]]
        if min(left) < 1:
            raise self.fail(f"pad_beg and pad_end leave nothing of the bottom {shape}")
        self.out = self.size if self.shrink is None and self.zoom is None else self._scaled(left)
        if min(self.out) < 1:
            raise self.fail(f"the output would have the size {self.out}")
        return [(*shape[:2], *self.out)]

    def _scaled(self, sizes: list[int]) -> list[int]:
        if self.shrink is not None:
            sizes = [(n - 1) // self.shrink + 1 for n in sizes]
        if self.zoom is not None:
            sizes = [n + (n - 1) * (self.zoom - 1) for n in sizes]
        return sizes

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        rows, columns = (slice(self.first, n - self.cut) for n in x.shape[2:])
        part = x[:, :, rows, columns]
        return [F.interpolate(part, self.out, mode="bilinear", align_corners=True)]
