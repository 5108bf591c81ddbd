"""SmoothL1Loss: squares near zero, absolute values further out (Fast R-CNN; Faster R-CNN; SSD)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._loss import check_first_axis


@register("SmoothL1Loss")
class SmoothL1Loss(Layer):
    """``sum(out * f(in * (a - b))) / N``, N the first axis of the bottoms, with s = sigma^2 and

        f(x) = s x^2 / 2 where |x| < 1 / s, else |x| - 1 / (2 s)

    Bottoms: predictions a and targets b; then, all of one shape,

    nothing: ``in`` and ``out`` are 1.
    one more (SSD, Fast R-CNN): ``in``.  Its gradient is ``f'(in (a - b)) / N``, without the factor
        ``in`` that the derivative has: weights of 0 and 1, which were used, make no difference.
    two more (py-faster-rcnn): ``in`` and ``out``, with both as factors of the gradient.

    ``smooth_l1_loss_param``: ``sigma`` 1.  a and b can receive a gradient, from the difference that
    the last forward pass saw; the weights cannot.
    """

    bottoms = (2, 4)
    is_loss = True
    no_gradient = frozenset({2, 3})
    leaves_out_no_gradient = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        sigma = self.param.smooth_l1_loss_param.sigma
        if not sigma > 0:
            raise self.fail(f"sigma must be positive, got {sigma:g}", LayerError)
        self.squared = sigma * sigma
        self.difference: torch.Tensor | None = None  # with ``in``, of the last forward pass

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_first_axis(self, bottom_shapes)
        for what, shape in zip(("target", "weights", "outside weights"), bottom_shapes[1:]):
            if shape != bottom_shapes[0]:
                raise self.fail(
                    f"the {what} must have the shape of the predictions, {bottom_shapes[0]}, got "
                    f"{shape}"
                )
        return [()]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0] - bottoms[1]
        if len(bottoms) > 2:
            x *= bottoms[2]
        self.difference = x
        size = x.abs()
        errors = torch.where(
            size < 1 / self.squared, x * x * (self.squared / 2), size - 0.5 / self.squared
        )
        if len(bottoms) > 3:
            errors *= bottoms[3]
        return [errors.sum() / x.shape[0]]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        x = self.difference
        if x is None or x.shape != bottoms[0].shape:
            x = torch.zeros_like(bottoms[0])  # no forward yet: all zero, as in Caffe
        slope = (x * self.squared).clamp_(-1, 1)
        slope *= top_diffs[0] / x.shape[0]
        if len(bottoms) > 3:
            slope *= bottoms[2] * bottoms[3]
        diffs: MaybeTensors = [None] * len(bottoms)
        if need.bottoms[0]:
            diffs[0] = slope
        if need.bottoms[1]:
            diffs[1] = -slope
        return diffs, []
