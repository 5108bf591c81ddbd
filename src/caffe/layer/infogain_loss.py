"""InfogainLoss: a multinomial logistic loss in which every confusion has a weight of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from caffe.errors import DataError, LayerError, WeightsError
from caffe.layer import MaybeTensors, Need, Shape, Tensors, register
from caffe.layer._indices import Limits
from caffe.layer._loss import (
    LabelReader,
    check_first_axis,
    check_label_count,
    ignore_label,
    normalization,
    normalizer,
)
from caffe.layer.softmax import softmax
from caffe.weights import wire
from caffe.weights.blob_proto import parse_blob

SMALLEST = 1e-20  # probabilities below count as this


class SourceError(LayerError, DataError):
    """A matrix file that cannot be used."""


@register("InfogainLoss")
class InfogainLoss(LabelReader):
    """``-sum_l H[label, l] log max(p_l, 1e-20) / Z`` over the positions that are not ignored, p the
    softmax of the scores.  The identity for H gives SoftmaxWithLoss.

    Bottoms: scores (outer axes..., K, inner axes...), labels of outer x inner values, and the
    matrix H of K x K values unless ``infogain_loss_param.source`` names a BlobProto file with it.
    Only the scores can receive a gradient.  Tops: the loss, a scalar; optionally the probabilities,
    through which no gradient flows (``loss_weight`` then needs two values).

    ``infogain_loss_param.axis`` 1 counts the classes, and the softmax runs along it, whatever
    ``softmax_param`` says.  ``loss_param``: ``ignore_label``; ``normalization`` of Z: FULL, VALID
    (default), BATCH_SIZE, NONE.
    """

    bottoms = (2, 3)
    tops = (1, 2)
    is_loss = True
    no_gradient = frozenset({1})

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.loss_param
        if p.HasField("normalize"):
            raise self.fail(
                "loss_param.normalize is deprecated and not known to this type; use normalization "
                "(normalize: true is VALID, false is BATCH_SIZE)",
                LayerError,
            )
        self.ignore = ignore_label(p)
        self.mode = normalization(p, p.VALID)
        self.prob: torch.Tensor | None = None
        self.stored: torch.Tensor | None = None
        if self.num_bottoms == 2:
            if not self.param.infogain_loss_param.HasField("source"):
                raise self.fail(
                    "needs the infogain matrix: a third bottom, or infogain_loss_param.source, a "
                    "BlobProto file",
                    LayerError,
                )
            self.stored = torch.from_numpy(self._read(self.param.infogain_loss_param.source))

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        check_first_axis(self, bottom_shapes)
        scores, labels = bottom_shapes[:2]
        self.class_axis = self.axis(self.param.infogain_loss_param.axis, len(scores))
        check_label_count(self, scores, labels, self.class_axis)
        k = scores[self.class_axis]
        matrix = bottom_shapes[2] if self.stored is None else tuple(self.stored.shape)
        if math.prod(matrix) != k * k:
            raise self.fail(
                f"the infogain matrix must have {k} x {k} values for {k} classes, received the "
                f"shape {matrix}"
            )
        self.outer = math.prod(scores[: self.class_axis])
        self.inner = math.prod(scores[self.class_axis + 1 :])
        return [(), scores][: self.num_tops]

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        return Limits(bottom_shapes[0][self.class_axis], self.ignore)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        scores = bottoms[0]
        index, counts = self._labels(bottoms)
        self.prob = softmax(scores, self.class_axis)
        rows = self._rows(self.prob).clamp(min=SMALLEST).log_()
        losses = (self._matrix(bottoms)[index] * rows).sum(1)
        if counts is not None:
            losses = torch.where(counts, losses, 0.0)
        return [losses.sum().div_(-self._divisor(counts)), self.prob][: self.num_tops]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        if any(need.bottoms[2:]):
            raise self.fail(
                "cannot backpropagate to the infogain matrix: feed it from a layer without "
                "parameters, set propagate_down: false for it, and do without force_backward",
                LayerError,
            )
        if not need.bottoms[0]:
            return [None] * len(bottoms), []
        scores = bottoms[0]
        index, counts = self._labels(bottoms)
        # The second top is the probabilities' own memory in Caffe: a user's edit counts.
        prob = tops[1] if self.num_tops == 2 else self.prob
        if prob is None or prob.shape != scores.shape:
            prob = torch.zeros_like(scores)  # no forward yet: all zero, as in Caffe
        gains = self._matrix(bottoms)[index]
        diff = self._rows(prob) * gains.sum(1, keepdim=True) - gains
        if counts is not None:
            diff = torch.where(counts.unsqueeze(1), diff, 0.0)
        diff = diff.mul_(top_diffs[0] / self._divisor(counts))
        moved = scores.movedim(self.class_axis, -1).shape
        diff = diff.view(moved).movedim(-1, self.class_axis).contiguous()
        return [diff, *[None] * (len(bottoms) - 1)], []

    def _labels(self, bottoms: Tensors) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Class indices and the mask of those that count (None: all), one axis each."""
        index, counts = self.indices(bottoms[1], self.limits([bottoms[0].shape]))
        return index.reshape(-1), None if counts is None else counts.reshape(-1)

    def _rows(self, x: torch.Tensor) -> torch.Tensor:
        """(outer..., K, inner...) as (outer x inner, K)."""
        return x.movedim(self.class_axis, -1).reshape(-1, x.shape[self.class_axis])

    def _matrix(self, bottoms: Tensors) -> torch.Tensor:
        """H, (K, K): the labels' rows, the classes' columns."""
        k = bottoms[0].shape[self.class_axis]
        if self.stored is None:
            return bottoms[2].reshape(k, k)
        self.stored = self.stored.to(bottoms[0].device)
        return self.stored.view(k, k)

    def _divisor(self, counts: torch.Tensor | None) -> float | torch.Tensor:
        return normalizer(self.param.loss_param, self.mode, self.outer, self.inner, counts)

    def _read(self, path: str) -> np.ndarray:
        """The values of a BlobProto file, float32."""
        try:
            with open(path, "rb") as stream:
                data = stream.read()
            return parse_blob(data, 0, len(data), f"infogain matrix {path}").array()
        except OSError as error:
            reason = error.strerror or str(error)
        except (wire.WireError, WeightsError) as error:
            reason = f"not a whole BlobProto: {error}"
        raise self.fail(
            f"cannot read the infogain matrix {path}: {reason}. Expected a binary BlobProto of "
            "K x K values (caffe.io.array_to_blobproto makes one)",
            SourceError,
        )
