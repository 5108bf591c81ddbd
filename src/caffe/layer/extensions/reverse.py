"""Reverse: an axis the other way round (BVLC pull request 3512; nets that read text)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.layer import Layer, Shape, Tensors, register


@register("Reverse")
class Reverse(Layer):
    """The bottom with axis ``reverse_param.axis`` (0) the other way round."""

    any_precision = True
    refuses_in_place = True

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        self.flipped = self.axis(self.param.reverse_param.axis, len(shape))
        return [shape]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0].flip(self.flipped)]
