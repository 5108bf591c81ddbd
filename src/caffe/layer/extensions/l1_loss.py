"""L1Loss: sums of absolute differences, or of lengths of difference vectors (FlowNet, NVIDIA)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.kernels.division import divide
from caffe.layer import Layer, Shape, Tensors, register


@register("L1Loss")
class L1Loss(Layer):
    """``sum |a - b| / N``, N the first axis, with a bottom each; or ``sum |a| / N`` of one bottom,
    a difference already (N x C x ...).  NaN counts as nothing known and adds nothing.

    ``l1_loss_param``, FlowNet's: ``l2_per_location``: each pixel's Euclidean length of the
    difference, ``sqrt(sum over C + epsilon)``, in the place of absolute values;
    ``l2_prescale_by_channels``: the sum over C divided by C; ``normalize_by_num_entries``: divided
    by the number of values that are not NaN / C in the place of N; ``plateau``: smaller absolute
    values, or lengths, count as 0 and pass no gradient on.

    Of a difference of 0 the gradient is 0; FlowNet's is -1 / N.
    """

    bottoms = (1, 2)
    is_loss = True

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        a = bottom_shapes[0]
        if any(tuple(shape) != tuple(a) for shape in bottom_shapes[1:]):
            raise self.fail(f"inputs must have the same dimension: {a} and {bottom_shapes[1]}")
        if len(a) < 2 and self.param.l1_loss_param.l2_per_location:
            raise self.fail(f"l2_per_location needs an axis of channels, got {a}")
        if not a:
            raise self.fail("the bottom must have an axis of items, got a single number")
        return [()]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        p = self.param.l1_loss_param
        difference = bottoms[0] - bottoms[1] if len(bottoms) > 1 else bottoms[0]
        known = ~difference.isnan()
        # Where the difference is NaN its gradient must be 0, not NaN times 0.
        parts = [torch.where(known, b, 0) for b in bottoms]
        difference = parts[0] - parts[1] if len(parts) > 1 else parts[0]
        channels = difference.shape[1] if difference.ndim > 1 else 1
        count: torch.Tensor | float = float(difference.shape[0])
        if p.normalize_by_num_entries:
            count = divide(known.sum(), channels)
        if p.l2_per_location:
            squares = difference.square().sum(1)
            if p.l2_prescale_by_channels:
                squares = divide(squares, channels)
            if p.plateau > 0:
                squares = torch.where(squares < p.plateau**2, 0, squares)
            return [(squares + p.epsilon).sqrt().sum() / count]
        values = difference.abs()
        if p.plateau > 0:
            values = torch.where(values < p.plateau, 0, values)
        return [values.sum() / count]
