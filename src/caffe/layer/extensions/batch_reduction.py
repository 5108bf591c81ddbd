"""BatchReduction: sums or means over groups of items (temporal segment networks, PSPNet's fork)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, Tensors, register


@register("BatchReduction")
class BatchReduction(Layer):
    """``batch_reduction_param``: ``reduction_param`` with ``axis`` and ``operation`` SUM or MEAN;
    ``level`` (1), any number of them.

    The axis is cut into one part for each level, of ``level^2`` entries, and each part is reduced
    to one: the axis is as long as there are levels.  With the single level 1 the whole axis is
    reduced, and drops out.
    """

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.batch_reduction_param
        reduction = p.reduction_param
        if reduction.operation not in (reduction.SUM, reduction.MEAN):
            raise self.fail("operation must be SUM or MEAN", LayerError)
        self.mean = reduction.operation == reduction.MEAN
        self.parts = [level**2 for level in p.level or [1]]
        if min(self.parts) < 1:
            raise self.fail(f"each level must be positive, got {list(p.level)}", LayerError)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        shape = bottom_shapes[0]
        self.reduced = axis = self.axis(
            self.param.batch_reduction_param.reduction_param.axis, len(shape)
        )
        if self.parts == [1]:
            return [(*shape[:axis], *shape[axis + 1 :])]
        if sum(self.parts) != shape[axis]:
            raise self.fail(
                f"the levels need {' + '.join(map(str, self.parts))} = {sum(self.parts)} entries "
                f"on axis {axis}, got {shape}"
            )
        return [(*shape[:axis], len(self.parts), *shape[axis + 1 :])]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x, axis = bottoms[0], self.reduced
        reduce = torch.mean if self.mean else torch.sum
        if self.parts == [1]:
            return [reduce(x, axis)]
        return [torch.stack([reduce(part, axis) for part in x.split(self.parts, axis)], axis)]
