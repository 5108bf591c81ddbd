"""SegAccuracy: shares of right pixels, classes and regions of a segmentation (DeepLab)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe.errors import LayerError
from caffe.layer import Shape, Tensors, register
from caffe.layer._indices import Limits
from caffe.layer._loss import LabelReader


@register("SegAccuracy")
class SegAccuracy(LabelReader):
    """Scores N x C x H x W and labels N x 1 x H x W to 1 x 1 x 1 x 3: the share of right pixels,
    its mean over the classes that there are, and the mean over all classes of the intersection
    over union, which is 1 for a class that neither labels nor scores have.

    With one channel, two classes: 1 above 0.5.  ``seg_accuracy_param``: ``ignore_label``, any
    number of them; ``reset`` (true): count anew in each pass, false: count on; ``output_label``:
    for each one more top, the class's precision, recall and intersection over union.
    """

    bottoms = 2
    tops = (1, None)
    differentiable = False

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.seg_accuracy_param
        self.ignored = list(p.ignore_label)
        self.count: torch.Tensor | None = None
        if self.num_tops != 1 + len(p.output_label):
            raise self.fail(
                f"has {self.num_tops} top(s) for {len(p.output_label)} output_label(s): expected "
                "one more than those",
                LayerError,
            )

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        scores, labels = bottom_shapes
        if len(scores) != 4 or tuple(labels) != (scores[0], 1, *scores[2:]):
            raise self.fail(
                f"needs scores N x C x H x W and labels N x 1 x H x W, got {scores} and {labels}"
            )
        self.classes = max(scores[1], 2)
        for label in self.param.seg_accuracy_param.output_label:
            if not 0 <= label < self.classes:
                raise self.fail(
                    f"output_label {label} is none of the {self.classes} classes", LayerError
                )
        return [(1, 1, 1, 3)] * self.num_tops

    def limits(self, bottom_shapes: Sequence[Shape]) -> Limits:
        return Limits(max(bottom_shapes[0][1], 2), self.ignored[0] if self.ignored else None)

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        scores, labels = bottoms
        for label in self.ignored[1:]:
            labels = torch.where(labels.trunc() == label, float(self.ignored[0]), labels)
        actual, counts = self.indices(labels, self.limits([scores.shape]))
        found = scores.argmax(1, keepdim=True) if scores.shape[1] > 1 else (scores > 0.5).long()
        weight = torch.ones_like(actual) if counts is None else counts.long()
        table = torch.zeros(self.classes**2, dtype=torch.long, device=scores.device)
        table.scatter_add_(0, (actual * self.classes + found).flatten(), weight.flatten())
        if self.count is not None and not self.param.seg_accuracy_param.reset:
            if self.count.numel() == table.numel():
                table += self.count
        self.count = table
        return self._measures(table.view(self.classes, self.classes).double())

    def _measures(self, table: torch.Tensor) -> Tensors:
        """The tops, from how many pixels have a class (rows) and were given one (columns)."""
        right, actual, found = table.diag(), table.sum(1), table.sum(0)
        union = actual + found - right
        overlap = torch.where(union > 0, right / union, 1.0)
        there = (actual > 0).sum().clamp(min=1)
        recall = right / actual
        means = [
            right.sum() / table.sum().clamp(min=1),
            recall.nan_to_num(nan=0.0).sum() / there,
            overlap.mean(),
        ]
        rows = [torch.stack(means)]
        for label in self.param.seg_accuracy_param.output_label:
            rows.append(torch.stack([right[label] / found[label], recall[label], overlap[label]]))
        return [row.float().view(1, 1, 1, 3) for row in rows]
