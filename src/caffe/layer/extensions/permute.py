"""Permute: the axes in another order (SSD)."""

from __future__ import annotations

from collections.abc import Sequence

from caffe.layer import Layer, Shape, Tensors, register


@register("Permute")
class Permute(Layer):
    """Axis i of the top is axis ``permute_param.order[i]`` of the bottom; the axes that ``order``
    does not name follow in their own order."""

    refuses_in_place = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        self.ndim = len(bottom_shapes[0])
        order = list(self.param.permute_param.order)
        for axis in order:
            if axis >= self.ndim:
                raise self.fail(f"order names axis {axis}, the bottom has {self.ndim} axes")
            if order.count(axis) > 1:
                raise self.fail(f"order names axis {axis} twice: {order}")
        self.order = order + [axis for axis in range(self.ndim) if axis not in order]

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        if len(shape) != self.ndim:
            raise self.fail(f"the number of axes may not change: was {self.ndim}, is now {shape}")
        return [tuple(shape[axis] for axis in self.order)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        return [bottoms[0].permute(self.order)]
