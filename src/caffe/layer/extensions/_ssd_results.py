"""Detections as result files: the formats of PASCAL VOC, MS COCO and ILSVRC (SSD)."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import numpy as np

from caffe.atomic import atomic_write
from caffe.errors import DataError, LayerError
from caffe.layer.extensions._ssd_resizing import boxes_before
from caffe.proto import caffe_pb2

FORMATS = ("VOC", "COCO", "ILSVRC")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")  # what JSON takes for one


class ResultFiles:
    """``save_output_param`` at work: detections of image after image, and the files when all are
    there; then it begins anew.

    VOC: a file a class, ``PREFIX`` + name + ``.txt``, of lines ``image score xmin ymin xmax ymax``.
    ILSVRC: ``PREFIX.txt`` of lines ``image label score xmin ymin xmax ymax``.  COCO:
    ``PREFIX.json``, a list of objects with image_id, category_id (the label's name), bbox (x, y,
    width, height) and score.  Corners are pixels of the image, cut to it; VOC's and ILSVRC's are
    whole numbers, rounded toward 0.  Names that are numbers become numbers in JSON.

    Args:
        param: a ``SaveOutputParameter``.
        background: the label without a file, -1 for none.

    Raises:
        LayerError: the format is unknown, or more images are wanted than there are names.
        DataError: a file cannot be read.
    """

    def __init__(self, param: Any, background: int) -> None:
        if param.output_format not in FORMATS:
            raise LayerError(
                f"output_format must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got "
                f"'{param.output_format}'"
            )
        self._param, self._background = param, background
        self._names = _label_names(param.label_map_file)
        self._images = _images(param.name_size_file)
        self._count = param.num_test_image or len(self._images)
        if self._count > len(self._images):
            raise LayerError(
                f"num_test_image is {self._count}, {param.name_size_file} names "
                f"{len(self._images)} images"
            )
        self._rows: list[tuple[str, int, float, np.ndarray]] = []
        self._done = 0

    def add(self, rows: np.ndarray) -> None:
        """The next image's detections, n x 7; writes the files after the last image.

        Raises:
            DataError: a label has no name, or a number is not finite.
            WeightsError: a file cannot be written.
        """
        name, size = self._images[self._done]
        for row in rows:
            label = int(row[1])
            if label not in self._names:
                raise DataError(
                    f"label {label} was detected, but has no name in {self._param.label_map_file}: "
                    f"expected one of {sorted(self._names)}"
                )
            if not np.isfinite(row[2:]).all():
                raise DataError(
                    f"a detection of label {label} in {name} has the score and corners "
                    f"{row[2:].tolist()}: only finite numbers can be written to a file"
                )
            box = boxes_before(row[None, 3:], size, self._resize())[0]
            self._rows.append((name, label, float(row[2]), _hundredths(box)))
        self._done += 1
        if self._done == self._count:
            self._write()
            self._rows, self._done = [], 0

    def _resize(self) -> Any:
        return self._param.resize_param if self._param.HasField("resize_param") else None

    def _write(self) -> None:
        os.makedirs(self._param.output_directory, exist_ok=True)
        form = self._param.output_format
        if form == "VOC":
            for label, name in self._names.items():
                if label != self._background:
                    lines = [
                        f"{image} {score:g} {_whole(box)}\n"
                        for image, of, score, box in self._rows
                        if of == label
                    ]
                    self._put(f"{name}.txt", "".join(lines))
        elif form == "ILSVRC":
            lines = [
                f"{image} {label} {score:g} {_whole(box)}\n"
                for image, label, score, box in self._rows
            ]
            self._put(".txt", "".join(lines))
        else:
            found = [
                {
                    "image_id": _number(image),
                    "category_id": _number(self._names[label]),
                    "bbox": [float(v) for v in box],
                    "score": float(f"{score:.9g}"),
                }
                for image, label, score, box in self._rows
            ]
            self._put(".json", json.dumps(found, indent=1) + "\n")

    def _put(self, ending: str, text: str) -> None:
        name = self._param.output_name_prefix + ending
        with atomic_write(os.path.join(self._param.output_directory, name)) as file:
            file.write(text.encode())


def _hundredths(box: np.ndarray) -> np.ndarray:
    """x, y, width and height, rounded to hundredths of pixels, halves away from zero."""
    values = np.concatenate([box[:2], box[2:] - box[:2]]).astype(np.float64) * 100
    return np.copysign(np.floor(np.abs(values) + 0.5), values) / 100


def _whole(box: np.ndarray) -> str:
    """xmin ymin xmax ymax in whole pixels, the far corner from whole widths and heights."""
    x, y, width, height = (int(v) for v in box)
    return f"{x} {y} {x + width} {y + height}"


def _number(text: str) -> Any:
    return json.loads(text) if _NUMBER.fullmatch(text) else text


def _label_names(path: str) -> dict[int, str]:
    """The name of each label of a LabelMap in text form."""
    from caffe.prototxt import parse_text

    items = parse_text(_read(path), caffe_pb2.LabelMap(), path).item
    names: dict[int, str] = {}
    for item in items:
        if item.label in names:
            raise DataError(f"{path} names label {item.label} twice")
        names[item.label] = item.name
    return names


def _images(path: str) -> list[tuple[str, tuple[int, int]]]:
    """Names and sizes (height, width) of the lines ``name height width``."""
    images = []
    for number, line in enumerate(_read(path).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or not all(word.isdigit() and int(word) for word in words[1:]):
            raise DataError(f"{path}:{number}: expected `name height width`, got '{line}'")
        images.append((words[0], (int(words[1]), int(words[2]))))
    if not images:
        raise DataError(f"{path} names no image: expected lines `name height width`")
    return images


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot read {path}: {reason}") from error
