"""CenterLoss: features drawn to the centre of their class, which is learned (Wen et al. 2016)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._indices import Limits
from caffe.layer._loss import LabelReader, check_first_axis


@register("CenterLoss")
class CenterLoss(LabelReader):
    """``sum |x - c_label|^2 / (2 N)`` over the N items.

    Bottoms: features N x ..., flattened from ``axis`` (1) on to K numbers; N labels.
    ``center_loss_param``: ``num_output`` classes; ``center_filler``.  One blob, the centres,
    num_output x K.

    The diff of a centre is as in the paper's layer: the sum of ``c - x`` over its items divided by
    their number plus 1, whatever ``loss_weight`` is; ``lr_mult`` says how fast it moves.
    """

    bottoms = 2
    is_loss = True
    no_gradient = frozenset({1})

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.center_loss_param
        shape = bottom_shapes[0]
        if p.num_output < 1:
            raise self.fail("needs num_output, the number of classes", LayerError)
        self.first = self.axis(p.axis, len(shape))
        self.classes, self.length = p.num_output, math.prod(shape[self.first :])
        self.add_blob((self.classes, self.length), p.center_filler)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_first_axis(self, bottom_shapes)
        features, labels = bottom_shapes
        if math.prod(features[self.first :]) != self.length:
            raise self.fail(f"its centres are for {self.length} features, the bottom is {features}")
        self.rows = math.prod(features[: self.first])
        if math.prod(labels) != self.rows:
            raise self.fail(f"needs one label for each of {self.rows} rows, got {labels}")
        return [()]

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        return Limits(self.classes)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        away, _ = self._away(bottoms, params)
        return [away.square().sum() / (2 * self.rows)]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        away, labels = self._away(bottoms, params)
        diff = centres = None
        if need.bottoms[0]:
            diff = (away * (top_diffs[0] / self.rows)).reshape(bottoms[0].shape)
        if need.params[0]:
            ones = away.new_ones(self.rows)  # torch.bincount would wait for a GPU
            counts = away.new_ones(self.classes).index_add_(0, labels, ones)
            centres = torch.zeros_like(params[0]).index_add_(0, labels, -away) / counts[:, None]
        return [diff, None], [centres]

    def _away(self, bottoms: Tensors, params: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
        """Each row less its class's centre, and the labels."""
        index = self.indices(bottoms[1], self.limits([]))[0].reshape(-1)
        return bottoms[0].reshape(self.rows, self.length) - params[0][index], index
