"""PriorBox: the boxes around every pixel of a map that SSD's predictions start from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from caffe.device import current
from caffe.errors import LayerError
from caffe.layer import Layer, MaybeTensors, Need, Shape, Tensors, register

_ONE = 1e-6  # ratios closer than this are one
_KEPT = 8  # sizes of maps whose boxes are kept


@register("PriorBox")
class PriorBox(Layer):
    """1 x 2 x (H W K 4): ``xmin, ymin, xmax, ymax`` of K boxes a pixel, in shares of the image, and
    the variances of each.  Bottoms: the map, N x C x H x W, and the image, for their sizes alone.

    ``prior_box_param``, in pixels of the image: for each ``min_size`` m in turn a square of m, with
    its ``max_size`` M a square of sqrt(m M), and for each ``aspect_ratio`` a but 1 a box of
    m sqrt(a) x m / sqrt(a), with ``flip`` (the default) each followed by 1 / a.  Sizes lose their
    fractions, as in SSD (OpenCV keeps them).  The centres are ``offset`` (0.5) steps from the
    corner and ``step`` (or ``step_h`` and ``step_w``) apart, by default the image's size divided by
    the map's; ``offset_h`` and ``offset_w``, several of each, put every box at several centres in
    their place (OpenCV's files, TextBoxes).  ``img_size`` (or ``img_h`` and ``img_w``) replaces
    the image's size; ``clip`` cuts boxes to the image; ``variance`` is one or four numbers, 0.1 by
    default.
    """

    bottoms = 2
    no_gradient = frozenset({0, 1})

    def setup(self, bottom_shapes: Sequence[Shape]) -> None:
        p = self.param.prior_box_param
        for name in ("min_size", "max_size", "variance", "aspect_ratio"):
            for value in getattr(p, name):
                if not value > 0:
                    raise self.fail(f"{name} must be positive, got {value:g}", LayerError)
        if not p.min_size:
            raise self.fail("must provide min_size", LayerError)
        if p.max_size and len(p.max_size) != len(p.min_size):
            raise self.fail(
                f"takes one max_size for each min_size or none, got {len(p.max_size)} and "
                f"{len(p.min_size)}",
                LayerError,
            )
        for low, high in zip(p.min_size, p.max_size):
            if not high > low:
                raise self.fail(
                    f"max_size must be greater than min_size, got {high:g} and {low:g}", LayerError
                )
        if len(p.variance) not in (0, 1, 4):
            raise self.fail(f"takes 1 or 4 variances, got {len(p.variance)}", LayerError)
        self.variance = (list(p.variance) or [0.1]) * (1 if len(p.variance) == 4 else 4)
        self.image = self._pair("img_size", "img_h", "img_w")
        self.step = self._pair("step", "step_h", "step_w")
        self.offsets = self._offsets()
        self.boxes = self._boxes()
        self.kept: dict[tuple[Shape, Shape], torch.Tensor] = {}

    def _pair(self, both: str, first: str, second: str) -> tuple[float, float] | None:
        """The setting of height and width; None where neither is given."""
        p = self.param.prior_box_param
        if p.HasField(first) or p.HasField(second):
            if p.HasField(both):
                raise self.fail(f"give {both}, or {first} and {second}, not both", LayerError)
            pair = getattr(p, first), getattr(p, second)
        elif p.HasField(both):
            pair = getattr(p, both), getattr(p, both)
        else:
            return None
        if not min(pair) > 0:
            raise self.fail(f"{first} and {second} must be positive, got {pair}", LayerError)
        return pair

    def _offsets(self) -> np.ndarray:
        """From the corner of a pixel to its centres, in steps: float32, rows and columns."""
        p = self.param.prior_box_param
        rows, columns = list(p.offset_h), list(p.offset_w)
        if len(rows) != len(columns):
            raise self.fail(
                f"takes as many offset_h as offset_w, got {len(rows)} and {len(columns)}",
                LayerError,
            )
        if rows and p.HasField("offset"):
            raise self.fail("give offset, or offset_h and offset_w, not both", LayerError)
        return np.array([rows or [p.offset], columns or [p.offset]], np.float32)

    def _boxes(self) -> np.ndarray:
        """Widths and heights of the boxes of a pixel: float32, K x 2."""
        p = self.param.prior_box_param
        ratios = [1.0]
        for ratio in p.aspect_ratio:
            if all(abs(ratio - known) >= _ONE for known in ratios):
                ratios += [ratio, float(np.float32(1 / ratio))] if p.flip else [ratio]
        sizes: list[tuple[float, float]] = []
        for i, size in enumerate(p.min_size):
            size = int(size)
            sizes.append((size, size))
            if p.max_size:
                sizes.append((math.sqrt(size * int(p.max_size[i])),) * 2)
            for ratio in ratios:
                if abs(ratio - 1) >= _ONE:
                    sizes.append((size * math.sqrt(ratio), size / math.sqrt(ratio)))
        return np.array(sizes, np.float32)

    def reshape(self, bottom_shapes: Sequence[Shape]) -> list[Shape]:
        for what, shape in zip(("map", "image"), bottom_shapes):
            if len(shape) != 4 or not min(shape[2:]):
                raise self.fail(f"the {what} must have 4 axes (N, C, H, W), got {shape}")
        h, w = bottom_shapes[0][2:]
        return [(1, 2, h * w * len(self.boxes) * self.offsets.shape[1] * 4)]

    def forward(self, bottoms: Tensors, params: Tensors) -> Tensors:
        key = tuple(bottoms[0].shape[2:]), tuple(bottoms[1].shape[2:])
        if key not in self.kept:
            if len(self.kept) == _KEPT:
                self.kept.clear()
            self.kept[key] = current().upload(self._priors(*key))
        return [self.kept[key].clone()]

    def backward(
        self, tops: Tensors, top_diffs: Tensors, bottoms: Tensors, params: Tensors, need: Need
    ) -> tuple[MaybeTensors, MaybeTensors]:
        return [None, None], []  # the bottoms' values do not count

    def _priors(self, of_map: Shape, of_image: Shape) -> np.ndarray:
        image = self.image or of_image
        step = self.step or [i / m for i, m in zip(image, of_map)]
        cy, cx = (
            (np.arange(n, dtype=np.float32)[:, None] + offset) * np.float32(s)
            for n, offset, s in zip(of_map, self.offsets, step)
        )
        centre = np.empty((*of_map, 1, self.offsets.shape[1], 2))  # x, y
        centre[..., 0, :, 0] = cx
        centre[..., 0, :, 1] = cy[:, None]
        half = self.boxes[:, None] / 2.0  # every box at each centre
        size = np.array([image[1], image[0]], np.float64)
        boxes = np.concatenate([(centre - half) / size, (centre + half) / size], 4)
        if self.param.prior_box_param.clip:
            boxes = boxes.clip(0, 1)
        priors = np.empty((1, 2, boxes.size), np.float32)
        priors[0, 0] = boxes.reshape(-1)
        priors[0, 1].reshape(-1, 4)[...] = self.variance
        return priors
