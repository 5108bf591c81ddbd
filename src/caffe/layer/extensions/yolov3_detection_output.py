"""Yolov3DetectionOutput: boxes from the maps of a YOLO v3 (MobileNet-YOLO)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from caffe.errors import LayerError
from caffe.layer import Layer, Shape, register
from caffe.layer.extensions import _ssd_boxes as ssd_boxes

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("Yolov3DetectionOutput")
class Yolov3DetectionOutput(Layer):
    """1 x 1 x n x 7, a row a detection: item of the batch, label from 1 on, score, xmin, ymin,
    xmax, ymax in shares of the image, best first of each item.  Without any detection there is a
    row of -1 for each item, with the item's number in front.

    Bottoms: ``mask_group_num`` maps N x (A (5 + C)) x H x W, A anchors with x, y, width, height,
    objectness and C = ``num_classes`` scores each.  Map i has the anchors ``mask`` i A to i A +
    A - 1, with A = ``num_box``; an anchor's width and height in pixels of the net's input are two
    of the ``biases``, and a pixel of the map is ``anchors_scale`` i of them wide.

    A box of the pixel (column, row) has its middle at (column + sigmoid(x)) / W and (row +
    sigmoid(y)) / H, and the size exp(width) and exp(height) times its anchor's.  A class is found
    where sigmoid(objectness) sigmoid(score) is above ``confidence_threshold`` (0.01).  Of boxes of
    any class that overlap by ``nms_threshold`` (0.45) or more the better one stays.  The fork
    thins out all items of a batch together and calls them item 0.
    """

    bottoms = (1, None)
    graphable = False
    differentiable = False
    not_exported = "it decodes and thins out boxes after the net"

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.yolov3_detection_output_param
        self.classes, self.anchors = p.num_classes, p.num_box
        maps = p.mask_group_num
        if self.num_bottoms != maps:
            raise self.fail(f"has {self.num_bottoms} bottoms, mask_group_num is {maps}", LayerError)
        if not self.classes or not self.anchors:
            raise self.fail("num_classes and num_box must be positive", LayerError)
        if len(p.mask) < maps * self.anchors or len(p.anchors_scale) < maps:
            raise self.fail(
                f"needs {maps * self.anchors} mask and {maps} anchors_scale, got {len(p.mask)} and "
                f"{len(p.anchors_scale)}",
                LayerError,
            )
        if len(p.biases) % 2 or max(p.mask) >= len(p.biases) // 2:
            raise self.fail(
                f"mask names anchor {max(p.mask)}, the biases are of {len(p.biases) / 2:g}",
                LayerError,
            )
        self.sizes = np.array(p.biases, np.float32).reshape(-1, 2)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        channels = self.anchors * (5 + self.classes)
        for shape in bottom_shapes:
            if len(shape) != 4 or shape[1] != channels or shape[0] != bottom_shapes[0][0]:
                raise self.fail(
                    f"every map needs {self.anchors} x (5 + {self.classes}) = {channels} channels "
                    f"and as many items as the first, got {shape}"
                )
        return [(1, 1, 1, 7)]

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        found = [self._candidates(i, b.data_numbers()) for i, b in enumerate(bottom)]
        rows = [
            self._thinned(np.concatenate([part[part[:, 0] == item] for part in found]))
            for item in range(bottom[0].dims[0])
        ]
        result = np.concatenate(rows)
        if not len(result):
            result = np.full((len(rows), 7), -1, np.float32)
            result[:, 0] = np.arange(len(rows))
        top[0].set_dims((1, 1, *result.shape))
        top[0].set_host_data(np.ascontiguousarray(result.reshape(1, 1, *result.shape)))

    def _candidates(self, number: int, values: np.ndarray) -> np.ndarray:
        """The boxes of a map whose score is high enough, n x 7."""
        p = self.param.yolov3_detection_output_param
        n, _, h, w = values.shape
        maps = values.reshape(n, self.anchors, 5 + self.classes, h, w)
        scores = _sigmoid(maps[:, :, 4:5]) * _sigmoid(maps[:, :, 5:])
        item, anchor, label, row, column = np.nonzero(scores > np.float32(p.confidence_threshold))
        x, y, wide, tall = (maps[item, anchor, i, row, column] for i in range(4))
        first = number * self.anchors
        own = self.sizes[np.array(p.mask[first : first + self.anchors])[anchor]]
        whole = np.float32(p.anchors_scale[number]) * np.array([w, h], np.float32)
        with np.errstate(over="ignore"):
            size = np.exp(np.stack([wide, tall], 1)) * own / whole
        middle = np.stack([(column + _sigmoid(x)) / w, (row + _sigmoid(y)) / h], 1)
        kept = scores[item, anchor, label, row, column]
        columns = [
            item[:, None],
            label[:, None] + 1,
            kept[:, None],
            middle - size / 2,
            middle + size / 2,
        ]
        return np.concatenate(columns, 1).astype(np.float32)

    def _thinned(self, rows: np.ndarray) -> np.ndarray:
        """Of one item's boxes those that overlap no better one too much, best first."""
        rows = rows[np.argsort(-rows[:, 2], kind="stable")]
        # One that overlaps by as much as the threshold goes here, where SSD keeps it.
        p = self.param.yolov3_detection_output_param
        limit = float(np.nextafter(np.float32(p.nms_threshold), np.float32(-1)))
        return rows[ssd_boxes.suppress(rows[:, 3:], limit)]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        result: np.ndarray = 1 / (1 + np.exp(-x))
    return result
