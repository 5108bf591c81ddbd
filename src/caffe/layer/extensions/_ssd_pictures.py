"""What SSD does to pictures and the objects marked in them: distort, expand, cut, resize, mirror.

Pictures are uint8, (C, H, W), channels B, G, R.  Objects are float32, (G, 7): label, number of the
instance, xmin, ymin, xmax, ymax in shares of the picture, and whether the object is difficult.

The random numbers are the transformer's own stream, so a seed gives the same batches each time;
they are not those that SSD would draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe import rng
from caffe.data.data_transformer import TRAIN, DataTransformer
from caffe.errors import DataError, LayerError
from caffe.layer.extensions import _ssd_boxes as ssd_boxes
from caffe.layer.extensions import _ssd_noise as ssd_noise
from caffe.layer.extensions._ssd_resizing import boxes_after, new_size, resized
from caffe.proto import caffe_pb2

BOX = slice(2, 6)  # the columns of an object's box
WHOLE = np.array([0, 0, 1, 1], np.float32)
_RESIZE = caffe_pb2.ResizeParameter


class AnnotatedTransformer(DataTransformer):
    """``transform_param`` for pictures with objects.

    ``resize_param``: WARP, to ``height`` x ``width``; FIT_SMALL_SIZE, so that neither side is
    shorter than that; FIT_LARGE_SIZE_AND_PAD, so that neither is longer, with a border around
    (``pad_mode``, ``pad_value``).  Of several ``interp_mode`` one at random: LINEAR, the default,
    gives OpenCV's numbers; the others are Pillow's, which smooths pictures that shrink.  Then
    ``crop_size``, or ``crop_h`` and ``crop_w``: in TRAIN anywhere, else the middle.  ``mirror`` at
    random; ``mean_value`` or ``mean_file``; ``scale``.  In TRAIN also ``distort_param``,
    ``expand_param`` and the samplers, and ``emit_constraint``, which says when an object stays in
    a part of the picture.  ``noise_param``, in TEST too: what ``_ssd_noise`` does to a picture that
    is resized; its ``prob`` changes nothing, as in SSD.

    Boxes in a padded picture lie where the pixels do; SSD moves those of tall pictures too far.
    """

    refused = ()

    def __init__(self, param: Any, phase: int, samplers: Sequence[Any] = ()) -> None:
        super().__init__(param, phase)
        if bool(param.crop_h) != bool(param.crop_w):
            raise LayerError("crop_h and crop_w go together: set both")
        if param.crop_size and param.crop_h:
            raise LayerError("set crop_size, or crop_h and crop_w, not both")
        self.crop = (param.crop_h or param.crop_size, param.crop_w or param.crop_size)
        self.random_crop = phase == TRAIN and self.crop[0] > 0
        resize = param.resize_param
        if param.HasField("resize_param"):
            if resize.prob < 1:
                raise LayerError(f"resize_param with prob 1 is implemented, got {resize.prob:g}")
            if min(resize.height, resize.width) < 1:
                raise LayerError("resize_param needs height and width")
        self.noise = param.noise_param if param.HasField("noise_param") else None
        wrong = self.noise is not None and ssd_noise.wrong(self.noise)
        if wrong:
            raise LayerError(f"noise_param: {wrong}")
        changes = [n for n in ("distort_param", "expand_param") if param.HasField(n)]
        self.samplers = list(samplers) if any(map(_is_sampler, samplers)) else []
        self.trains = bool(changes or self.samplers)
        if self.trains and phase != TRAIN:
            what = " and ".join(changes + ["batch_sampler"] * bool(self.samplers))
            raise LayerError(f"{what} change pictures at random: only a TRAIN net may have them")

    def init_rand(self) -> None:
        several = len(self.param.resize_param.interp_mode) > 1
        salted = self.noise is not None and self.noise.saltpepper
        if self.trains or self.param.mirror or self.random_crop or several or salted:
            self._generator = rng.Generator(int(rng.get().u32(1)[0]))

    def size(self, pixels: np.ndarray) -> tuple[int, int, int]:
        """The shape that the picture has for the net."""
        _, height, width = pixels.shape
        if self.param.HasField("resize_param"):
            height, width = new_size((height, width), self.param.resize_param)[1]
        return (len(pixels), self.crop[0] or height, self.crop[1] or width)

    def shape(self, pixels: np.ndarray) -> tuple[int, int, int]:
        channels, height, width = super().shape(pixels)
        tall, wide = self.param.crop_h, self.param.crop_w
        if tall > height or wide > width:
            raise DataError(
                f"the crop of {tall} x {wide} is larger than the picture, {height} x {width} "
                "(height x width): resize the pictures, or crop less"
            )
        return (channels, tall or height, wide or width)

    def changed(self, pixels: np.ndarray, objects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The picture and its objects as resized, before crop, mirror, mean and scale."""
        param = self.param
        if param.HasField("distort_param") and len(pixels) == 3:
            pixels = self._distorted(pixels)
        if param.HasField("expand_param"):
            pixels, objects = self._expanded(pixels, objects)
        if self.samplers:
            pixels, objects = self._cut(pixels, objects)
        if param.HasField("resize_param"):
            old = pixels.shape[1:]
            pixels = self._resized(pixels)
            objects = objects.copy()
            objects[:, BOX] = boxes_after(objects[:, BOX], old, param.resize_param)
        if self.noise is not None:
            pixels = ssd_noise.noisy(_bytes(pixels), self.noise, self._draw)
        self.shape(pixels)  # whether it fits the mean and the crop
        return pixels, objects

    def finish(self, pixels: np.ndarray, objects: np.ndarray, out: np.ndarray) -> np.ndarray:
        """``out`` becomes the net's input of a picture; returns the objects that are in it, cut and
        mirrored with it."""
        mirror = self.param.mirror and self._draw(2) == 1
        _, height, width = self.shape(pixels)
        top, left = self._corner(pixels.shape[1], pixels.shape[2])
        window = (slice(None), slice(top, top + height), slice(left, left + width))
        self._fill(out, pixels, window, mirror)
        part = np.array([left, top, left + width, top + height], np.float32)
        size = np.array([pixels.shape[2], pixels.shape[1]] * 2, np.float32)
        objects = self.seen(objects, part / size)
        if mirror:
            objects = objects.copy()
            objects[:, [2, 4]] = 1 - objects[:, [4, 2]]
        return objects

    def seen(self, objects: np.ndarray, box: np.ndarray) -> np.ndarray:
        """The objects in a part of the picture, their boxes in shares of that part."""
        boxes = objects[:, BOX]
        stays = ((boxes[:, :2] < box[2:]) & (boxes[:, 2:] > box[:2])).all(1)
        if self.param.HasField("emit_constraint"):
            constraint = self.param.emit_constraint
            if constraint.emit_type == constraint.CENTER:
                centre = (boxes[:, :2] + boxes[:, 2:]) / 2
                stays &= ((centre >= box[:2]) & (centre <= box[2:])).all(1)
            else:
                stays &= _covered(boxes, box) > constraint.emit_overlap
        corner, size = np.tile(box[:2], 2), np.tile(box[2:] - box[:2], 2)
        left = objects[stays]  # a copy
        left[:, BOX] = ((left[:, BOX] - corner) / size).clip(0, 1)
        return left[ssd_boxes.areas(left[:, BOX]) > 0]

    def _corner(self, height: int, width: int) -> tuple[int, int]:
        if not self.crop[0]:
            return 0, 0
        rest = (height - self.crop[0], width - self.crop[1])
        if self.random_crop:
            row = self._draw(rest[0] + 1)
            return row, self._draw(rest[1] + 1)
        return rest[0] // 2, rest[1] // 2

    def _uniform(self, low: float, high: float) -> float:
        if self._generator is None:
            raise LayerError("init_rand() must be called before a random transformation")
        return float(self._generator.uniform(low, high, 1)[0]) if low < high else low

    def _resized(self, pixels: np.ndarray) -> np.ndarray:
        resize = self.param.resize_param
        modes = list(resize.interp_mode) or [_RESIZE.LINEAR]
        mode = modes[self._draw(len(modes)) if len(modes) > 1 else 0]
        return resized(_bytes(pixels), resize, mode)

    def _distorted(self, pixels: np.ndarray) -> np.ndarray:
        """Brightness, contrast, saturation and hue, each with its probability; the contrast second
        or last, at even chances; then, by ``random_order_prob``, the channels in another order."""
        p = self.param.distort_param
        image = pixels.astype(np.float32)
        contrast_last = self._uniform(0, 1) <= 0.5
        steps = ["brightness", "contrast", "saturation", "hue"]
        if contrast_last:
            steps = ["brightness", "saturation", "hue", "contrast"]
        for step in steps:
            if self._uniform(0, 1) >= getattr(p, step + "_prob"):
                continue
            if step in ("brightness", "hue"):
                delta = getattr(p, step + "_delta")
                by = self._uniform(-delta, delta)
                image = image + np.float32(by) if step == "brightness" else turned(image, by)
            else:
                by = self._uniform(getattr(p, step + "_lower"), getattr(p, step + "_upper"))
                image = image * np.float32(by) if step == "contrast" else saturated(image, by)
            image = image.round().clip(0, 255)
        if self._uniform(0, 1) < p.random_order_prob:
            order = [0, 1, 2]
            image = image[[order.pop(self._draw(len(order))) for _ in range(3)]]
        return image.astype(np.uint8)

    def _expanded(self, pixels: np.ndarray, objects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The picture somewhere on a larger canvas of the mean's colour."""
        p = self.param.expand_param
        if self._uniform(0, 1) > p.prob:
            return pixels, objects
        ratio = self._uniform(1, p.max_expand_ratio)
        if abs(ratio - 1) < 1e-2:
            return pixels, objects
        channels, height, width = pixels.shape
        high, wide = int(height * ratio), int(width * ratio)
        top = int(self._uniform(0, high - height))
        left = int(self._uniform(0, wide - width))
        canvas = np.zeros((channels, high, wide), np.uint8)
        if self.param.mean_value:
            canvas[:] = _bytes(np.array(self.param.mean_value)).reshape(-1, 1, 1)
        canvas[:, top : top + height, left : left + width] = _bytes(pixels)
        box = np.array([-left, -top, wide - left, high - top], np.float32)
        return canvas, self.seen(objects, box / np.array([width, height] * 2, np.float32))

    def _cut(self, pixels: np.ndarray, objects: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One of the parts that the samplers find; the whole where they find none."""
        found = [box for sampler in self.samplers for box in self._sampled(sampler, objects)]
        if not found:
            return pixels, objects
        box = found[self._draw(len(found))].clip(0, 1)
        _, height, width = pixels.shape
        left, top, right, bottom = (box * np.array([width, height] * 2)).astype(int)
        if right <= left or bottom <= top:
            return pixels, objects
        return pixels[:, top:bottom, left:right], self.seen(objects, box)

    def _sampled(self, sampler: Any, objects: np.ndarray) -> list[np.ndarray]:
        found: list[np.ndarray] = []
        if not sampler.use_original_image:
            return found
        for _ in range(sampler.max_trials):
            if sampler.HasField("max_sample") and len(found) >= sampler.max_sample:
                break
            box = self._box(sampler.sampler)
            if _satisfies(box, objects[:, BOX], sampler.sample_constraint):
                found.append(box)
        return found

    def _box(self, sampler: Any) -> np.ndarray:
        """A random box inside the picture."""
        scale = self._uniform(sampler.min_scale, sampler.max_scale)
        least = max(sampler.min_aspect_ratio, scale**2)
        most = min(sampler.max_aspect_ratio, 1 / scale**2)
        root = np.sqrt(self._uniform(least, most))
        width, height = scale * root, scale / root
        left, top = self._uniform(0, 1 - width), self._uniform(0, 1 - height)
        return np.array([left, top, left + width, top + height], np.float32)


def _is_sampler(sampler: Any) -> bool:
    """Whether it can find anything but the whole picture."""
    return bool(sampler.HasField("sampler") or sampler.HasField("sample_constraint"))


def _bytes(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    return values.round().clip(0, 255).astype(np.uint8)


def _covered(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The share of each box that lies in another one."""
    size = np.minimum(boxes[..., 2:], box[..., 2:]) - np.maximum(boxes[..., :2], box[..., :2])
    common = size.clip(min=0).prod(-1)
    whole = ssd_boxes.areas(boxes)
    return np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)


def _satisfies(box: np.ndarray, objects: np.ndarray, constraint: Any) -> bool:
    """Whether any object meets one of the constraint's limits with a box, or there is no limit."""
    limits = {
        "jaccard_overlap": lambda: ssd_boxes.overlaps(box[None], objects)[0],
        "sample_coverage": lambda: _covered(np.broadcast_to(box, objects.shape), objects),
        "object_coverage": lambda: _covered(objects, box),
    }
    given = [n for n in limits if any(constraint.HasField(f"{m}_{n}") for m in ("min", "max"))]
    for name in given:
        share = limits[name]()
        met = np.ones(len(objects), bool)
        if constraint.HasField("min_" + name):
            met &= share >= getattr(constraint, "min_" + name)
        if constraint.HasField("max_" + name):
            met &= share <= getattr(constraint, "max_" + name)
        if met.any():
            return True
    return not given


def saturated(image: np.ndarray, factor: float) -> np.ndarray:
    """B, G, R with the saturation of the HSV colours multiplied, at most full."""
    high = image.max(0)
    reach = high - image.min(0)
    full = np.divide(high, reach, out=np.ones_like(high), where=reach > 0)
    return high - (high - image) * np.minimum(np.float32(factor), full)


def turned(image: np.ndarray, by: float) -> np.ndarray:
    """B, G, R with the hue turned round the circle, in steps of 2 degrees (OpenCV's hues are 0 to
    180).  SSD stops at 0 instead of going on."""
    blue, green, red = image
    high, low = image.max(0), image.min(0)
    reach = high - low
    safe = np.where(reach > 0, reach, 1)
    sixth = np.select(
        [high == red, high == green],
        [(green - blue) / safe, 2 + (blue - red) / safe],
        4 + (red - green) / safe,
    )
    sixth = np.float32(sixth + by / 30)
    places = [(sixth + channel) % 6 for channel in (1, 3, 5)]  # of blue, green, red
    return np.stack([high - reach * np.minimum(k, 4 - k).clip(0, 1) for k in places])
