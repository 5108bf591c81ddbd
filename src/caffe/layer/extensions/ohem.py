"""R-FCN's training with the hardest regions: two losses a region, and who of them counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._loss import check_first_axis, normalization, normalizer
from caffe.layer.softmax_loss import SoftmaxWithLoss

if TYPE_CHECKING:
    from caffe.blob import Blob


def four(shape: Shape) -> Shape:
    """A shape with ones behind it, of 4 axes: what most forks compared."""
    return (*shape, *[1] * (4 - len(shape)))


@register("SoftmaxWithLossOHEM")
class SoftmaxWithLossOHEM(SoftmaxWithLoss):
    """:class:`SoftmaxWithLoss` with a third top: the loss of each label, not divided, of the
    labels' shape.  No gradient flows through it."""

    tops = (1, 3)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        loss, *_ = super().reshape(bottom_shapes)
        return [loss, bottom_shapes[0], four(bottom_shapes[1])][: self.num_tops]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        tops = super().forward(bottoms, params)
        if self.num_tops == 3:
            tops.append(-self.losses.reshape(four(bottoms[1].shape)))
        return tops


@register("SmoothL1LossOHEM")
class SmoothL1LossOHEM(Layer):
    """``sum f(in (a - b)) / Z`` with f(x) = x^2 / 2 where |x| < 1, else |x| - 1/2.

    Bottoms: predictions a and targets b, N x C x ..., and weights ``in``; their shapes may differ
    by axes of 1 at the end.  Tops: the loss; each region's part of the sum, N x 1 x ..., through
    which no gradient flows.  ``loss_param.normalization`` of Z: VALID (default) and FULL, the
    number of regions; BATCH_SIZE, N; NONE, 1; PRE_FIXED, ``pre_fixed_normalizer``.

    The gradient is ``f'(in (a - b)) / Z``, without the factor ``in`` that the derivative has, as
    in R-FCN: weights of 0 and 1, which are used, make no difference.
    """

    bottoms = (2, 3)
    tops = (1, 2)
    is_loss = True
    no_gradient = frozenset({2})
    leaves_out_no_gradient = True

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.loss_param
        self.mode = normalization(p, p.VALID)
        self.difference: torch.Tensor | None = None  # with ``in``, of the last forward pass

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_first_axis(self, bottom_shapes)
        shapes = [four(shape) for shape in bottom_shapes]
        for what, shape in zip(("targets", "weights"), shapes[1:]):
            if shape != shapes[0]:
                raise self.fail(
                    f"the {what} must have the shape of the predictions, {shapes[0]}, got {shape}"
                )
        self.rows = (shapes[0][0], 1, *shapes[0][2:])
        return [(), self.rows][: self.num_tops]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        x = bottoms[0] - bottoms[1].view_as(bottoms[0])
        if len(bottoms) > 2:
            x *= bottoms[2].view_as(x)
        self.difference = x
        size = x.abs()
        errors = torch.where(size < 1, x * x / 2, size - 0.5)
        tops = [errors.sum() / self._divisor()]
        if self.num_tops == 2:
            tops.append(errors.sum(1).view(self.rows))
        return tops

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        x = self.difference
        if x is None or x.shape != bottoms[0].shape:
            x = torch.zeros_like(bottoms[0])  # no forward yet: all zero, as in Caffe
        slope = x.clamp(-1, 1).mul_(top_diffs[0] / self._divisor())
        diffs: MaybeTensors = [None] * len(bottoms)
        if need.bottoms[0]:
            diffs[0] = slope
        if need.bottoms[1]:
            diffs[1] = -slope.view_as(bottoms[1])
        return diffs, []

    def _divisor(self) -> float | torch.Tensor:
        outer, inner = self.rows[0], math.prod(self.rows[2:])
        return normalizer(self.param.loss_param, self.mode, outer, inner, None)


@register("BoxAnnotatorOHEM")
class BoxAnnotatorOHEM(Layer):
    """Of the regions of each image the ``roi_per_img`` with the largest loss keep their labels and
    weights; the others get ``ignore_label`` (-1) and 0.

    Bottoms: regions R x 5 (item, corners), losses, labels, both one a region, and weights of boxes
    R x C.  Tops: labels R x 1 x 1 x 1, weights R x C x 1 x 1.  Runs on the host; no gradient.
    """

    bottoms = 4
    tops = 2
    differentiable = False
    graphable = False

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.box_annotator_ohem_param
        if p.roi_per_img < 1:
            raise self.fail(f"roi_per_img must be positive, got {p.roi_per_img}", LayerError)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        regions, losses, labels, weights = bottom_shapes
        count = regions[0] if regions else -1
        if math.prod(regions[1:]) != 5 or not math.prod(losses) == math.prod(labels) == count:
            raise self.fail(
                f"needs regions R x 5 and one loss and label for each, got {regions}, {losses} and "
                f"{labels}"
            )
        if len(weights) < 2 or four(weights) != (count, weights[1], 1, 1):
            raise self.fail(f"the weights must be {count} x C, got {weights}")
        return [(count, 1, 1, 1), (count, weights[1], 1, 1)]

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        regions, losses, labels, weights = (b.data_tensor().float().cpu().numpy() for b in bottom)
        p = self.param.box_annotator_ohem_param
        items = regions.reshape(-1, 5)[:, 0].astype(int)
        kept = np.zeros(len(items), bool)
        hardest = np.argsort(-losses.reshape(-1), kind="stable")
        for item in np.unique(items):
            kept[hardest[items[hardest] == item][: p.roi_per_img]] = True
        chosen = np.where(kept, labels.reshape(-1), np.float32(p.ignore_label))
        counted = weights.reshape(len(items), -1) * kept[:, None]
        for blob, values in zip(top, (chosen, counted)):
            blob.set_host_data(np.ascontiguousarray(values.reshape(blob.dims), np.float32))
