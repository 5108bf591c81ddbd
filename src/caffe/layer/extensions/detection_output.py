"""DetectionOutput: SSD's detections, from offsets, scores and prior boxes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from caffe.errors import DataError, LayerError
from caffe.layer import Layer, Shape, register
from caffe.layer.extensions import _ssd_boxes as ssd_boxes
from caffe.layer.extensions._ssd_results import ResultFiles

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("DetectionOutput")
class DetectionOutput(Layer):
    """1 x 1 x n x 7, a row a detection: item of the batch, label, score, xmin, ymin, xmax, ymax in
    shares of the image.  Rows are ordered by item, label and score.  Without any detection there is
    a row of -1 for each item, with the item's number in front.

    Bottoms: offsets, N x (K L 4), with L 1 or, without ``share_location``, the number of classes;
    scores, N x (K C); priors, 1 x 2 x (4 K), as PriorBox makes them, without the variances where
    ``variance_encoded_in_target`` does not need them (OpenCV's files).  RefineDet has two more:
    whether there is an object, N x (K 2), and offsets that move the priors, N x (K 4).  Of a prior
    whose second number there is below ``objectness_score`` (0.01) all scores are 0, but 1 of class
    0; the other offsets are from where the priors are then.

    ``detection_output_param``: for each class but ``background_label_id`` (0; -1 for none) the
    boxes whose score is above ``confidence_threshold``, the best ``nms_param.top_k`` of them, are
    thinned out by ``nms_threshold`` and ``eta``; ``keep_top_k`` (-1: all) of all classes stay.
    ``code_type`` (CORNER by default) and ``variance_encoded_in_target`` say how offsets stand for
    boxes; ``clip`` cuts boxes to the image, as in OpenCV.

    ``normalized_bbox: false`` (OpenCV's files of Faster R-CNN and R-FCN) has priors and detections
    in whole pixels, whose last one belongs to a box; a fourth bottom is the image, which ``clip``
    needs for its size.

    ``save_output_param`` with output_directory, label_map_file (a LabelMap) and name_size_file
    (lines ``name height width``, in the order of the images) writes result files in the
    ``output_format`` VOC, COCO or ILSVRC after each ``num_test_image`` images (all that have a
    name); ``resize_param`` is how the net saw the images.  What else is in the directory stays,
    where SSD empties it.  ``visualize`` is left out, with a warning: nothing is shown.
    """

    graphable = False
    bottoms = (3, 5)
    differentiable = False

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.detection_output_param
        if not p.num_classes:
            raise self.fail("must provide num_classes", LayerError)
        self.classes = p.num_classes
        self.places = 1 if p.share_location else self.classes
        one = 0 if p.normalized_bbox else 1
        self.code = ssd_boxes.Code(p.code_type, p.variance_encoded_in_target, one)
        self.above = p.confidence_threshold if p.HasField("confidence_threshold") else -np.inf
        self.threshold, self.top_k, self.eta = ssd_boxes.suppress_settings(p.nms_param)
        if self.threshold < 0:
            raise self.fail(
                f"nms_threshold must not be negative, got {self.threshold:g}", LayerError
            )
        if not 0 < self.eta <= 1:
            raise self.fail(f"eta must be above 0 and at most 1, got {self.eta:g}", LayerError)
        if self.num_bottoms == 4 and p.normalized_bbox:
            raise self.fail(
                "takes 3 bottoms, RefineDet's 5, or with normalized_bbox: false 4; got 4",
                LayerError,
            )
        if p.clip and not p.normalized_bbox and self.num_bottoms != 4:
            raise self.fail(
                "clip with normalized_bbox: false needs a fourth bottom, the image", LayerError
            )
        self.files = self._result_files()
        if p.visualize:
            self._warn("visualize", "detections are not shown")

    def _result_files(self) -> ResultFiles | None:
        """What writes detections to files, None where nothing is to be written."""
        p = self.param.detection_output_param
        save = p.save_output_param
        if not save.output_directory:
            return None
        missing = [n for n in ("label_map_file", "name_size_file") if not getattr(save, n)]
        if missing:
            self._warn(
                "save_output_param",
                f"it needs {' and '.join(missing)} too, so detections are not written to files",
            )
            return None
        try:
            return ResultFiles(save, p.background_label_id)
        except LayerError as error:
            raise self.fail(f"save_output_param: {error}", LayerError) from error
        except DataError as error:
            raise self.fail(f"save_output_param: {error}", DataError) from error

    def _warn(self, field: str, consequence: str) -> None:
        from caffe.prototxt.forks import ForeignFieldWarning

        warnings.warn(
            f"layer '{self.name}' (type {self.type}): {field} of detection_output_param is not "
            f"carried out: {consequence}. They are in the top.",
            ForeignFieldWarning,
            stacklevel=3,
        )

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        offsets, scores, priors = bottom_shapes[:3]
        rows = (1, 2) if self.code.in_target else (2,)
        if len(priors) < 3 or priors[1] not in rows or priors[2] % 4:
            raise self.fail(f"the priors must be 1 x 2 x (4 K), got {priors}")
        if offsets[:1] != scores[:1]:
            raise self.fail(f"offsets {offsets} and scores {scores} are of different batch sizes")
        count = priors[2] // 4
        self.batch = offsets[0]
        self.limits = (1.0, 1.0)  # of x and y, where boxes are clipped
        if self.num_bottoms == 4:
            if len(bottom_shapes[3]) != 4:
                raise self.fail(f"the image must have 4 axes (N, C, H, W), got {bottom_shapes[3]}")
            height, width = bottom_shapes[3][2:]
            self.limits = (width - 1.0, height - 1.0)
        wanted = [
            ("location", offsets, self.places * 4),
            ("confidence", scores, self.classes),
        ]
        if self.num_bottoms == 5:
            wanted += zip(("objectness", "refinement"), bottom_shapes[3:], (2, 4))
        for what, shape, each in wanted:
            size = int(np.prod(shape[1:]))
            if size != count * each or shape[:1] != offsets[:1]:
                raise self.fail(
                    f"Number of priors must match number of {what} predictions: {count} priors "
                    f"need {count * each} numbers an item, got {shape}"
                )
        return [(1, 1, 1, 7)]

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        read = bottom if self.num_bottoms == 5 else bottom[:3]
        offsets, scores, priors, *refining = (b.data_numbers() for b in read)
        rows = self._detect(
            offsets.reshape(self.batch, -1, self.places, 4),
            scores.reshape(self.batch, -1, self.classes),
            self._priors(ssd_boxes.priors_of(priors), refining),
            refining,
        )
        top[0].set_dims((1, 1, *rows.shape))
        top[0].set_host_data(rows.reshape(1, 1, *rows.shape))

    def _priors(
        self, priors: ssd_boxes.Priors, refining: list[np.ndarray]
    ) -> list[ssd_boxes.Priors]:
        """The priors of each item, moved where there are offsets for them."""
        wrong = ssd_boxes.check_code(priors, self.code)
        if wrong:
            raise self.fail(wrong, DataError)
        if not refining:
            return [priors] * self.batch
        moved = ssd_boxes.decode(priors, refining[1].reshape(self.batch, -1, 4), self.code)
        return [ssd_boxes.Priors(boxes, priors.variances) for boxes in moved]

    def _detect(
        self,
        offsets: np.ndarray,
        scores: np.ndarray,
        priors: list[ssd_boxes.Priors],
        refining: list[np.ndarray],
    ) -> np.ndarray:
        """The detections of all items, n x 7."""
        if refining:
            least = np.float32(self.param.detection_output_param.objectness_score)
            empty = refining[0].reshape(self.batch, -1, 2)[..., 1] < least
            scores = np.where(empty[..., None], np.eye(1, self.classes, dtype=np.float32), scores)
        found = [
            self._of_item(i, offsets[i].transpose(1, 0, 2), scores[i].T, priors[i])
            for i in range(self.batch)
        ]
        if self.files:
            for rows in found:
                self.files.add(rows)
        rows = np.concatenate(found) if found else np.empty((0, 7), np.float32)
        if not len(rows):
            rows = np.full((self.batch, 7), -1, np.float32)
            rows[:, 0] = np.arange(self.batch)
        return np.ascontiguousarray(rows)

    def _of_item(
        self, item: int, offsets: np.ndarray, scores: np.ndarray, priors: ssd_boxes.Priors
    ) -> np.ndarray:
        """The detections of one item, from offsets L x K x 4 and scores C x K."""
        p = self.param.detection_output_param
        rows = [np.empty((0, 7), np.float32)]
        for label in range(self.classes):
            if label == p.background_label_id:
                continue
            order = ssd_boxes.best_first(scores[label], self.above, self.top_k)
            if not len(order):
                continue
            some = ssd_boxes.Priors(priors.boxes[order], priors.variances[order])
            place = label if self.places > 1 else 0
            boxes = ssd_boxes.decode(some, offsets[place, order], self.code)
            if p.clip:
                boxes = boxes.clip(0, np.array(self.limits * 2, np.float32))
            kept = ssd_boxes.suppress(boxes, self.threshold, self.eta, self.code.one)
            part = np.empty((len(kept), 7), np.float32)
            part[:, 0], part[:, 1] = item, label
            part[:, 2], part[:, 3:] = scores[label, order[kept]], boxes[kept]
            rows.append(part)
        found = np.concatenate(rows)
        if -1 < p.keep_top_k < len(found):
            best = np.argsort(-found[:, 2], kind="stable")[: p.keep_top_k]
            found = found[np.sort(best)]  # rows of a label are by score already
        return found
