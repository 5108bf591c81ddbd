"""Reduction: the last axes of a blob to one number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register


@register("Reduction")
class Reduction(Layer):
    """``coeff`` (1) times the SUM, ASUM (of absolute values), SUMSQ (of squares) or MEAN over all
    axes from ``axis`` (0) on.  The top has the axes before it: none at all for axis 0.
    """

    refuses_in_place = True  # BVLC accepts it: the bottom then shrinks in every pass

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        p = self.param.reduction_param
        shape = bottom_shapes[0]
        self.first = self.axis(p.axis, len(shape))
        self.coeff = p.coeff
        if p.operation == p.MEAN:
            size = math.prod(shape[self.first :])
            self.coeff = p.coeff / size if size else math.nan
        return [shape[: self.first]]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        p = self.param.reduction_param
        x = bottoms[0].flatten(self.first)
        if p.operation == p.ASUM:
            x = x.abs()
        elif p.operation == p.SUMSQ:
            x = x.square()
        y = x.sum(-1)
        return [y.mul_(self.coeff) if self.coeff != 1 else y]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if not need.bottoms[0]:
            return [None], []
        p = self.param.reduction_param
        x = bottoms[0]
        g = top_diffs[0] * self.coeff
        g = g.reshape(*g.shape, *([1] * (x.ndim - self.first)))
        if p.operation == p.ASUM:
            return [x.sign().mul_(g)], []
        if p.operation == p.SUMSQ:
            return [(x * g).mul_(2)], []
        return [g.expand(x.shape).clone(memory_format=torch.contiguous_format)], []
