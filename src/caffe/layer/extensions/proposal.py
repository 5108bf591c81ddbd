"""Proposal: boxes that may hold an object, from a region proposal network (Faster R-CNN)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from caffe.errors import LayerError
from caffe.layer import Layer, Need, Shape, register
from caffe.layer.extensions import _boxes
from caffe.layer.extensions._boxes import Selection

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("Proposal")
class Proposal(Layer):
    """Scores N x 2A x H x W (background first), deltas N x 4A x H x W and image sizes N x 3 or more
    (height, width, scale; or height, width and the scale of each) to R proposals, R x 5: the item
    of the batch, then the corners ``x1 y1 x2 y2``, best first for each item.  A second top gets
    their scores, R.

    ``proposal_param``: the anchors at every ``feat_stride``-th pixel are squares of ``base_size``
    given each ``ratio`` and each ``scale``; boxes are clipped to the image; one smaller than
    ``min_size`` times the image's scale gets the score 0; the best ``pre_nms_topn`` are looked at
    and up to ``post_nms_topn`` kept that overlap no better one by more than ``nms_thresh``.

    Runs on the host, and has no backward pass, as in the forks.  Before the first forward pass the
    tops have ``post_nms_topn`` rows for each item.
    """

    bottoms = 3
    tops = (1, 2)
    differentiable = False
    graphable = False

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.proposal_param
        for name in ("feat_stride", "base_size", "post_nms_topn"):
            if not getattr(p, name):
                raise self.fail(f"{name} must be positive", LayerError)
        ratios, scales = list(p.ratio) or [0.5, 1, 2], list(p.scale) or [8, 16, 32]
        for name, values in (("ratio", ratios), ("scale", scales)):
            if min(values) <= 0:
                raise self.fail(f"each {name} must be positive, got {values}", LayerError)
        self.stride = p.feat_stride
        self.selection = Selection(p.min_size, p.pre_nms_topn, p.post_nms_topn, p.nms_thresh)
        self.anchors = _boxes.anchors(p.base_size, ratios, scales, _half_up)

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.check([b.dims for b in bottom])
        if top[0].dims[1:] != (5,):  # until a pass has found out how many there are
            rows = bottom[0].dims[0] * self.selection.after
            top[0].set_dims((rows, 5))
            for scores in top[1:]:
                scores.set_dims((rows,))

    def check(self, shapes: Sequence[Shape]) -> None:
        """Raise ShapeError where the bottoms do not fit each other and the anchors."""
        scores, deltas, sizes = shapes
        count = len(self.anchors)
        if len(scores) != 4 or scores[1] != 2 * count:
            raise self.fail(
                f"the scores must be N x {2 * count} x H x W, two for each of {count} anchors, got "
                f"{scores}"
            )
        expected = (scores[0], 4 * count, *scores[2:])
        if tuple(deltas) != expected:
            raise self.fail(f"the deltas must be {expected}, four an anchor, got {deltas}")
        if len(sizes) < 2 or sizes[0] != scores[0] or np.prod(sizes[1:]) < 3:
            raise self.fail(
                f"the image sizes must be {scores[0]} x 3 (height, width, scale) or more, got "
                f"{sizes}"
            )

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Nothing flows through boxes: the bottoms' other readers give them their gradient."""
        for blob, needed in zip(bottom, need.bottoms):
            if needed:
                blob.zero_diff()

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        scores, deltas, sizes = (blob.data_tensor().float().cpu().numpy() for blob in bottom)
        count = len(self.anchors)
        placed = _boxes.place(self.anchors, scores.shape[2:], self.stride)
        rois, kept_scores = [], []
        for item, size in enumerate(sizes.reshape(len(sizes), -1)):
            height, width, scale_h = size[:3]
            scale_w = size[3] if len(size) > 3 else scale_h
            score = scores[item, count:].transpose(1, 2, 0).reshape(-1)
            boxes = _boxes.decode(placed, deltas[item].transpose(1, 2, 0).reshape(-1, 4))
            boxes = _boxes.clip(boxes, height, width)
            least = self.selection.min_size
            score = score * _boxes.large_enough(boxes, least * scale_h, least * scale_w)
            order = _boxes.best_first(score, self.selection.before)
            boxes = boxes[order]
            kept = _boxes.suppress(boxes, self.selection.overlap, self.selection.after)
            rois.append(np.insert(boxes[kept], 0, item, axis=1))
            kept_scores.append(score[order[kept]])
        for blob, parts in zip(top, (rois, kept_scores)):
            values = np.concatenate(parts)
            blob.set_dims(values.shape)
            blob.set_host_data(values)


def _half_up(x: np.ndarray) -> np.ndarray:
    return np.floor(x + 0.5)
