"""Bias: add a learned or given blob."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._broadcast import Broadcast, learned_shape


@register("Bias")
class Bias(Layer):
    """``x + b``, where b has the axes of x from ``axis`` (default 1) on, ``num_axes`` (1) of them.
    May work in place.

    With one bottom b is learned (blob 0, ``filler`` 0); with two it is the second.
    """

    bottoms = (1, 2)

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.bias_param
        self.learned = len(bottom_shapes) == 1
        if self.learned:
            self.add_blob(learned_shape(self, p, bottom_shapes[0]), p.filler)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        operand = self.blobs[0].dims if self.learned else bottom_shapes[1]
        self.geometry = Broadcast(self, bottom_shapes[0], operand, self.param.bias_param.axis)
        return [bottom_shapes[0]]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        bias = self.geometry.spread(params[0] if self.learned else bottoms[1])
        return [bottoms[0].add_(bias) if self.in_place else torch.add(bottoms[0], bias)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        g = top_diffs[0]
        gathered = None
        if need.params[0] if self.learned else need.bottoms[1]:
            gathered = self.geometry.gather(g)
        diff = g if need.bottoms[0] else None
        return ([diff], [gathered]) if self.learned else ([diff, gathered], [])
