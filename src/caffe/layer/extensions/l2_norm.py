"""L2Norm: every item scaled to length 1 (nets that learn distances)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.layer import Layer, Shape, Tensors, register


@register("L2Norm")
class L2Norm(Layer):
    """Each item of the bottom, all behind the first axis, divided by its Euclidean length.  An item
    of zeros gives NaN, as in the fork."""

    refuses_in_place = True

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        return [bottom_shapes[0]]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0]
        return [(x.flatten(1) * x.flatten(1).square().sum(1, keepdim=True).rsqrt()).view(x.shape)]
