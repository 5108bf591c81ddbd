"""DetectionEvaluate: which of SSD's detections are right, for the average precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from caffe.errors import DataError, LayerError
from caffe.layer import Layer, Shape, register
from caffe.layer.extensions import _ssd_boxes as ssd_boxes
from caffe.layer.extensions import _ssd_truth as ssd_truth

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("DetectionEvaluate")
class DetectionEvaluate(Layer):
    """1 x 1 x (classes + n) x 5.  First a row for each class but the background: -1, label, number
    of objects, -1, -1.  Then a row for each detection: item, label, score, 1 or 0 for a true
    positive, 1 or 0 for a false one.  DetectionOutput's row of -1 for an item without detections is
    a false one of the label -1.

    Bottoms: detections, 1 x 1 x n x 7, as DetectionOutput gives them; objects, 1 x 1 x G x 8.  In
    the order of scores, a detection is true where the object of its label that it overlaps most,
    by ``overlap_threshold`` (0.5) at least, has none yet.  With ``evaluate_difficult_gt: false``
    difficult objects do not count, and detections of these are neither true nor false.
    ``detection_evaluate_param { name_size_file }``: a line of name, height and width an image;
    boxes are then compared in whole pixels of images in this order, over and over.
    """

    graphable = False
    bottoms = 2
    differentiable = False

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.detection_evaluate_param
        if not p.num_classes:
            raise self.fail("must provide num_classes", LayerError)
        if not p.overlap_threshold > 0:
            raise self.fail(
                f"overlap_threshold must be positive, got {p.overlap_threshold:g}", LayerError
            )
        if p.HasField("resize_param") and p.resize_param.resize_mode != p.resize_param.WARP:
            raise self.fail(
                "of detection_evaluate_param { resize_param } resize_mode WARP alone is "
                "implemented here: with the others the boxes are not shares of the whole image",
                LayerError,
            )
        self.labels = [c for c in range(p.num_classes) if c != p.background_label_id]
        self.sizes = self._read_sizes(p.name_size_file) if p.name_size_file else []
        self.image = 0  # the next line of the file of sizes

    def _read_sizes(self, path: str) -> list[tuple[int, int]]:
        try:
            with open(path, encoding="utf-8") as file:
                lines = [line.split() for line in file if line.strip()]
            return [(int(line[-2]), int(line[-1])) for line in lines]
        except (OSError, ValueError, IndexError) as error:
            raise self.fail(
                f"cannot read name_size_file {path}: {error}; expected lines of name, height and "
                "width",
                DataError,
            ) from error

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        for what, shape, width in zip(("detections", "objects"), bottom_shapes, (7, 8)):
            if len(shape) != 4 or shape[:2] != (1, 1) or shape[3] != width:
                raise self.fail(f"the {what} must be 1 x 1 x n x {width}, got {shape}")
        return [(1, 1, len(self.labels) + bottom_shapes[0][2], 5)]

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        p = self.param.detection_evaluate_param
        truth = ssd_truth.truth_of(
            bottom[1].data_numbers(),
            0,
            0,
            p.background_label_id,
            lambda message: self.fail(message, DataError),
        )
        detections = bottom[0].data_numbers().reshape(-1, 7)
        detections = detections[detections[:, 0] != -1]
        if (detections[:, 1] == p.background_label_id).any():
            raise self.fail("a detection has the label of the background", DataError)
        found = np.zeros((top[0].dims[2], 5), np.float32)
        found[: len(self.labels)] = self._counts(truth)
        at = len(self.labels)
        for item in np.unique(detections[:, 0]):
            of_item = detections[detections[:, 0] == item]
            scale, one = self._scale()
            for label in np.unique(of_item[:, 1]):
                rows = of_item[of_item[:, 1] == label]
                objects = truth.get(int(item))
                objects = objects and objects.part(objects.labels == label)
                part = found[at : at + len(rows)]
                part[:, 0], part[:, 1] = item, label
                if objects is not None and len(objects.labels):
                    rows = rows[np.argsort(-rows[:, 2], kind="stable")]
                    part[:, 3:] = self._judged(rows[:, 3:], objects, scale, one)
                else:
                    part[:, 4] = 1
                part[:, 2] = rows[:, 2]
                at += len(rows)
        top[0].set_host_data(found.reshape(1, 1, -1, 5))

    def _scale(self) -> tuple[np.ndarray, float]:
        """What boxes of the next image are multiplied by, and the width of a pixel in it."""
        if not self.sizes:
            return np.ones(4, np.float32), 0.0
        height, width = self.sizes[self.image]
        self.image = (self.image + 1) % len(self.sizes)
        return np.array([width, height, width, height], np.float32), 1.0

    def _counts(self, truth: dict[int, ssd_truth.Truth]) -> np.ndarray:
        """A row for each class: how many objects there are."""
        rows = np.full((len(self.labels), 5), -1, np.float32)
        rows[:, 1], rows[:, 2] = self.labels, 0
        for objects in truth.values():
            counted = objects.labels
            if not self.param.detection_evaluate_param.evaluate_difficult_gt:
                counted = counted[~objects.difficult]
            rows[:, 2] += [(counted == label).sum() for label in self.labels]
        return rows

    def _judged(
        self, boxes: np.ndarray, objects: ssd_truth.Truth, scale: np.ndarray, one: float
    ) -> np.ndarray:
        """True and false positive for each box, best first."""
        p = self.param.detection_evaluate_param
        pair = boxes, objects.boxes
        if one:
            pair = boxes.clip(0, 1) * scale, objects.boxes.clip(0, 1) * scale
        table = ssd_boxes.overlaps(*pair, one)
        taken = np.zeros(len(objects.labels), bool)
        judged = np.zeros((len(boxes), 2), np.float32)
        for i, row in enumerate(table):
            best = int(row.argmax())
            if row[best] < np.float32(p.overlap_threshold):
                judged[i, 1] = 1
            elif p.evaluate_difficult_gt or not objects.difficult[best]:
                judged[i, int(taken[best])] = 1
                taken[best] = True
        return judged
