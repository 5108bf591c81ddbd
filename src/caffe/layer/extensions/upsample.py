"""Upsample: unpooling by a pooling mask (SegNet, ENet), or nearest neighbour (YOLO converted)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F

from caffe.errors import LayerError
from caffe.layer import Shape, Tensors, register
from caffe.layer.extensions._unpool import MaskReader


@register("Upsample")
class Upsample(MaskReader):
    """With two bottoms, each value of the first goes where the second, a pooling mask, says; see
    :class:`~caffe.layer.extensions._unpool.MaskReader`.

    The size is ``upsample_h`` x ``upsample_w`` where both are given; else that of the bottom times
    ``scale``, or ``scale_h`` and ``scale_w``, less one where ``pad_out_h`` or ``pad_out_w``, for
    a pooling that rounded up.  W' must be the width that the mask was made at.

    With one bottom every pixel becomes ``scale`` x ``scale`` equal ones.
    """

    remedy = "set upsample_h and upsample_w to that"

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
        self.check_mask(bottom_shapes)
        shape = bottom_shapes[0]
        scaled = [n * s - less for n, s, less in zip(shape[2:], self.scale, self.less)]
        self.out = self.size or scaled
        return [(*shape[:2], *self.out)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        if self.num_bottoms == 1:
            return [F.interpolate(x, scale_factor=[float(s) for s in self.scale], mode="nearest")]
        return self.unpool(bottoms)
