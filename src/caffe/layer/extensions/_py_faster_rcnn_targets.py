"""Python layers that train py-faster-rcnn's nets: what anchors and proposals are to learn.

Beside :mod:`caffe.layer.extensions._py_faster_rcnn`, for nets whose modules are not there.  The
settings are those of ``fast_rcnn/config.py``, by the same names in ``param_str``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from caffe.errors import LayerError
from caffe.layer.extensions import _boxes
from caffe.layer.extensions._py_faster_rcnn import FasterRCNNLayer, anchors, one_image

if TYPE_CHECKING:
    from caffe.blob import Blob


class AnchorTargetLayer(FasterRCNNLayer):
    """What a region proposal network learns from: score map 1 x ... x H x W (its size alone
    counts), true boxes G x 5 (``x1 y1 x2 y2`` and the class), the image's size 1 x 3 (height,
    width, scale), and further bottoms that are not read, to labels 1 x 1 x (A H) x W (1 an object,
    0 none, -1 not counted), deltas 1 x 4A x H x W, and their inside and outside weights.

    Anchors that reach over the border by more than ``allowed_border`` do not count.  An anchor is
    an object where it overlaps a true box by RPN_POSITIVE_OVERLAP (0.7), or more than any other
    anchor does; none where it overlaps all by less than RPN_NEGATIVE_OVERLAP (0.3).  Of each kind
    RPN_BATCHSIZE (256) times RPN_FG_FRACTION (0.5), and the rest, are drawn by NumPy's generator.
    """

    defaults: ClassVar[dict[str, Any]] = {
        "feat_stride": 16,
        "scales": (8, 16, 32),
        "ratios": (0.5, 1, 2),
        "allowed_border": 0,
        "RPN_POSITIVE_OVERLAP": 0.7,
        "RPN_NEGATIVE_OVERLAP": 0.3,
        "RPN_CLOBBER_POSITIVES": False,
        "RPN_FG_FRACTION": 0.5,
        "RPN_BATCHSIZE": 256,
        "RPN_BBOX_INSIDE_WEIGHTS": (1.0, 1.0, 1.0, 1.0),
        "RPN_POSITIVE_WEIGHT": -1.0,
    }

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.p = self.settings()
        self.anchors = anchors(self.p["ratios"], self.p["scales"])
        self._reshape(bottom, top)

    def _reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        height, width = bottom[0].dims[-2:]
        count = len(self.anchors)
        top[0].reshape(1, 1, count * height, width)
        for blob in top[1:]:
            blob.reshape(1, 4 * count, height, width)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        one_image(bottom[0])
        p, count = self.p, len(self.anchors)
        height, width = bottom[0].dims[-2:]
        truth = bottom[1].data.reshape(-1, 5)
        rows, columns = bottom[2].data.reshape(-1)[:2]
        placed = _boxes.place(self.anchors, (height, width), p["feat_stride"])
        border = p["allowed_border"]
        inside = (placed[:, :2] >= -border).all(1)
        inside &= (placed[:, 2] < columns + border) & (placed[:, 3] < rows + border)
        boxes = placed[inside]
        labels = np.full(len(boxes), -1, np.float32)
        deltas = np.zeros((len(boxes), 4), np.float32)
        if len(boxes):
            self._match(boxes, truth, labels, deltas)
        self._draw(labels)
        inner = np.where(labels[:, None] == 1, np.float32(p["RPN_BBOX_INSIDE_WEIGHTS"]), 0)
        outer = np.zeros_like(deltas)
        if p["RPN_POSITIVE_WEIGHT"] < 0:
            outer[labels >= 0] = 1 / max(1, (labels >= 0).sum())
        else:
            outer[labels == 1] = p["RPN_POSITIVE_WEIGHT"] / max(1, (labels == 1).sum())
            outer[labels == 0] = (1 - p["RPN_POSITIVE_WEIGHT"]) / max(1, (labels == 0).sum())
        self._reshape(bottom, top)
        every = np.full(len(placed), -1, np.float32)
        every[inside] = labels
        top[0].data[...] = (
            every.reshape(height, width, count).transpose(2, 0, 1).reshape(top[0].dims)
        )
        for blob, values in zip(top[1:], (deltas, inner, outer)):
            spread = np.zeros((len(placed), 4), np.float32)
            spread[inside] = values
            blob.data[...] = spread.reshape(1, height, width, 4 * count).transpose(0, 3, 1, 2)

    def _match(
        self, boxes: np.ndarray, truth: np.ndarray, labels: np.ndarray, deltas: np.ndarray
    ) -> None:
        """Write the labels before any are drawn, and the deltas to the box each overlaps most."""
        if not len(truth):
            labels[...] = 0
            return
        overlaps = _boxes.overlaps(boxes.astype(np.float64), truth[:, :4].astype(np.float64))
        most = overlaps.max(1)
        background = most < self.p["RPN_NEGATIVE_OVERLAP"]
        if not self.p["RPN_CLOBBER_POSITIVES"]:
            labels[background] = 0
        labels[(overlaps == overlaps.max(0)).any(1)] = 1
        labels[most >= self.p["RPN_POSITIVE_OVERLAP"]] = 1
        if self.p["RPN_CLOBBER_POSITIVES"]:
            labels[background] = 0
        deltas[...] = _boxes.encode(boxes, truth[overlaps.argmax(1), :4])

    def _draw(self, labels: np.ndarray) -> None:
        """Label those that are too many of a kind -1."""
        wanted = int(self.p["RPN_FG_FRACTION"] * self.p["RPN_BATCHSIZE"])
        for kind in (1, 0):
            found = np.flatnonzero(labels == kind)
            if len(found) > wanted:
                labels[np.random.choice(found, len(found) - wanted, replace=False)] = -1
            wanted = self.p["RPN_BATCHSIZE"] - int((labels == 1).sum())


class ProposalTargetLayer(FasterRCNNLayer):
    """What a detector learns from: proposals R x 5 (0, then the corners) and true boxes G x 5
    (corners, class) to the proposals drawn S x 5, their classes S (0 background), deltas S x 4K,
    and their inside and outside weights.

    The true boxes are proposals too.  BATCH_SIZE (128) are drawn by NumPy's generator: up to
    FG_FRACTION (0.25) of those that overlap a true box by FG_THRESH (0.5), and of those that do so
    by BG_THRESH_LO (0) to BG_THRESH_HI (0.5).  Deltas are for the class alone, less
    BBOX_NORMALIZE_MEANS (0), in BBOX_NORMALIZE_STDS (0.1, 0.1, 0.2, 0.2), unless
    BBOX_NORMALIZE_TARGETS_PRECOMPUTED is false: as py-faster-rcnn's faster_rcnn_end2end.yml.
    With AGONISTIC (R-FCN) all objects share the deltas of class 1.
    """

    defaults: ClassVar[dict[str, Any]] = {
        "num_classes": 21,
        "BATCH_SIZE": 128,
        "FG_FRACTION": 0.25,
        "FG_THRESH": 0.5,
        "BG_THRESH_HI": 0.5,
        "BG_THRESH_LO": 0.0,
        "BBOX_INSIDE_WEIGHTS": (1.0, 1.0, 1.0, 1.0),
        "BBOX_NORMALIZE_TARGETS_PRECOMPUTED": True,
        "BBOX_NORMALIZE_MEANS": (0.0, 0.0, 0.0, 0.0),
        "BBOX_NORMALIZE_STDS": (0.1, 0.1, 0.2, 0.2),
        "AGONISTIC": False,
    }

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.p = self.settings()
        top[0].reshape(1, 5)
        top[1].reshape(1, 1)
        for blob in top[2:]:
            blob.reshape(1, 4 * self.p["num_classes"])

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        p = self.p
        truth = bottom[1].data.reshape(-1, 5)
        if not len(truth):
            raise LayerError("got no true box: an image without objects teaches nothing here")
        given = np.insert(truth[:, :4], 0, 0, axis=1)
        regions = np.concatenate([bottom[0].data.reshape(-1, 5), given])
        if regions[:, 0].any():
            raise LayerError("takes the proposals of one image: their first number must be 0")
        overlaps = _boxes.overlaps(
            regions[:, 1:].astype(np.float64), truth[:, :4].astype(np.float64)
        )
        nearest, most = overlaps.argmax(1), overlaps.max(1)
        objects, background = self._draw(most)
        chosen = np.concatenate([objects, background])
        classes = truth[nearest[chosen], 4].copy()
        classes[len(objects) :] = 0
        if classes.size and not 0 <= classes.min() <= classes.max() < p["num_classes"]:
            raise LayerError(
                f"a true box has a class beyond num_classes {p['num_classes']}: "
                f"{sorted(set(classes.tolist()))}"
            )
        targets = _boxes.encode(regions[chosen, 1:], truth[nearest[chosen], :4])
        if p["BBOX_NORMALIZE_TARGETS_PRECOMPUTED"]:
            targets = (targets - p["BBOX_NORMALIZE_MEANS"]) / p["BBOX_NORMALIZE_STDS"]
        deltas = np.zeros((len(chosen), p["num_classes"], 4), np.float32)
        inner = np.zeros_like(deltas)
        rows = np.flatnonzero(classes > 0)
        kinds = classes[rows].astype(int)
        if p["AGONISTIC"]:
            kinds = np.minimum(kinds, 1)
        deltas[rows, kinds] = targets[rows]
        inner[rows, kinds] = p["BBOX_INSIDE_WEIGHTS"]
        spread = (len(chosen), -1)
        results = (regions[chosen], classes, deltas.reshape(spread), inner.reshape(spread))
        for blob, values in zip(top, (*results, (inner > 0).reshape(spread))):
            blob.reshape(*values.shape)
            blob.data[...] = values

    def _draw(self, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Proposals of objects and of background, by how much each overlaps some true box."""
        p = self.p
        size = np.inf if p["BATCH_SIZE"] == -1 else p["BATCH_SIZE"]
        drawn: list[np.ndarray] = []
        left = np.round(p["FG_FRACTION"] * size)
        for found in (
            most >= p["FG_THRESH"],
            (most < p["BG_THRESH_HI"]) & (most >= p["BG_THRESH_LO"]),
        ):
            places = np.flatnonzero(found)
            if len(places):
                count = int(min(left, len(places)))
                places = np.random.choice(places, count, replace=False)
            drawn.append(places)
            left = size - len(drawn[0])
        return drawn[0], drawn[1]
