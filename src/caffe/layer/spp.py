"""SPP: spatial pyramid pooling, an image of any size to a vector of fixed length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, create, register

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("SPP")
class SPP(Layer):
    """N x C x H x W to N x (C sum 4^l): level l = 0, 1, ... of ``pyramid_height`` pools (MAX by
    default) over 2^l x 2^l windows; the levels follow one another, each in C, H, W order.

    One level alone keeps its axes: N x C x 1 x 1.  A level's windows are ``ceil(H / 2^l)`` high,
    side by side, on an image padded by half of what they reach beyond it.
    """

    refuses_in_place = True  # BVLC accepts it and gives garbage of a new shape in every pass
    graphable = False  # what the levels keep for the backward pass is theirs, and new with a shape

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.height = self.param.spp_param.pyramid_height
        if self.height <= 0:
            raise self.fail("needs pyramid_height, a positive number", LayerError)
        self.image: Shape | None = None
        self.levels: list[Layer] = []

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) != 4 or not all(shape[2:]):
            raise self.fail(f"the bottom must be N x C x H x W with an image, got {shape}")
        if shape[2:] != self.image:
            self.levels = [self._level(i, shape) for i in range(self.height)]
            self.image = shape[2:]
        self.shapes = [level.reshape([shape])[0] for level in self.levels]
        if self.height == 1:
            return self.shapes
        return [(shape[0], sum(c * h * w for _, c, h, w in self.shapes))]

    def before_forward(self, bottom: list[Blob]) -> None:
        for level in self.levels:
            level.before_forward(bottom)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        pooled = [level.forward(bottoms, [])[0] for level in self.levels]
        return pooled if self.height == 1 else [torch.cat([y.flatten(1) for y in pooled], 1)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None], []
        parts = [top_diffs[0]]
        if self.height > 1:
            sizes = [c * h * w for _, c, h, w in self.shapes]
            parts = [
                part.reshape(shape)
                for part, shape in zip(top_diffs[0].split(sizes, 1), self.shapes)
            ]
        total = torch.zeros_like(bottoms[0])
        for level, g in zip(self.levels, parts):
            (diff,), _ = level.backward([g], [g], bottoms, [], need)  # one top: its values unused
            if diff is not None:
                total += diff
        return [total], []

    def _level(self, index: int, shape: Shape) -> Layer:
        """The Pooling layer of one level."""
        kernel, pad = [], []
        for size in shape[2:]:
            kernel.append(-(-size // 2**index))
            pad.append((kernel[-1] * 2**index - size + 1) // 2)
        if any(p and p >= k for p, k in zip(pad, kernel)):
            raise self.fail(
                f"level {index} has {2**index} x {2**index} windows, too many for a bottom of "
                f"{shape}: lower pyramid_height ({self.height})"
            )
        param = type(self.param)(type="Pooling", name=f"{self.name}, level {index}")
        param.bottom.append("image")
        param.top.append("pooled")
        p = param.pooling_param
        p.pool = self.param.spp_param.pool
        p.kernel_h, p.kernel_w = p.stride_h, p.stride_w = kernel
        p.pad_h, p.pad_w = pad
        layer = create(param, self.phase)
        layer.setup([shape])
        return layer
