"""What the layers that read pictures with label images share (DenseImageData, ImageSegData)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch

from caffe import glog, rng
from caffe.data import image_files, label_images
from caffe.data.data_transformer import DataTransformer
from caffe.data.label_images import LabelledTransformer
from caffe.errors import DataError, Error
from caffe.layer._prefetching import PrefetchingLayer
from caffe.layer.image_data import Files, check_new_size

Lines = list[tuple[str, str]]


class LabelledFiles(Files):
    """The pictures of a list, each with its labels, made into batches: data, labels of the same
    height and width, and the size of each picture (rows, columns)."""

    transformer: LabelledTransformer

    def __init__(
        self,
        param: Any,
        lines: Lines,
        transformer: LabelledTransformer,
        generator: rng.Generator | None,
        kind: str,
    ) -> None:
        super().__init__(param, cast(Any, lines), transformer, generator)
        self._kind = kind

    def shapes(self) -> Sequence[tuple[int, ...]]:
        try:
            pixels, labels = self._both()
            if pixels.shape[1:] != labels.shape:  # told in the words of the first pass
                self.transformer.apply_to_both(pixels, labels, *[np.empty(0)] * 2)
            channels, height, width = self.transformer.shape(pixels)
        except Error as error:
            raise DataError(f"{self.name()}: {error}") from error
        count = self.batch_size
        return (count, channels, height, width), (count, 1, height, width), (count, 1, 1, 2)

    def batch(self) -> tuple[torch.Tensor, ...]:  # type: ignore[override]  # one more than a picture's
        count = self.batch_size
        data = labels = self._empty(0)
        sizes = torch.empty(count, 1, 1, 2)
        for item in range(count):
            try:
                pixels, classes = self._both()
                if item == 0:  # it says how large the pictures are
                    channels, *size = self.transformer.shape(pixels)
                    data = self._empty(count, channels, *size)
                    labels = torch.empty(count, 1, *size)
                self.transformer.apply_to_both(
                    pixels, classes, data[item].numpy(), labels[item, 0].numpy()
                )
            except Error as error:
                raise DataError(f"{self.name()}: {error}") from error
            for axis in (0, 1):
                sizes[item, 0, 0, axis] = min(classes.shape[axis], data.shape[2 + axis])
            self.advance()
        return data, labels, sizes

    def _both(self) -> tuple[np.ndarray, np.ndarray]:
        """The picture here, uint8 (C, H, W), and its labels, uint8 (H, W)."""
        p = self._param
        path, label = cast(Lines, self._lines)[self._order[self._number]]
        image = image_files.read(p.root_folder + path, p.is_color)
        if p.new_height:
            image = image_files.resize(image, p.new_height, p.new_width)
        if self._kind == "PIXEL":
            labels = label_images.read_labels(p.root_folder + label)
            if p.new_height:
                labels = label_images.resize_labels(labels, p.new_height, p.new_width)
        else:
            value = int(label) if self._kind == "IMAGE" else self.transformer.ignore_label
            if not 0 <= value <= 255:
                raise DataError(f"the label {value} is no byte: expected 0 to 255")
            labels = np.full(image.shape[:2], value, np.uint8)
        return image.transpose(2, 0, 1), labels


class LabelledPictures(PrefetchingLayer):
    """Base of the layers: ``settings`` is their message, ``kind`` what stands behind a picture."""

    graphable = False

    @property
    def settings(self) -> Any:
        raise NotImplementedError

    @property
    def kind(self) -> str:
        """PIXEL: a label image; IMAGE: one label for all pixels; NONE: nothing."""
        return "PIXEL"

    @property
    def batch_size(self) -> int:
        return self.settings.batch_size

    def files(self, *arguments: Any) -> LabelledFiles:
        """What reads the files of the list."""
        return LabelledFiles(*arguments)

    def source(self, transformer: DataTransformer) -> LabelledFiles:
        p = self.settings
        check_new_size(p)
        glog.info(self.log_name, f"Opening file {p.source}")
        lines = read_pairs(p.source, self.kind)
        generator = None
        if p.shuffle:
            glog.info(self.log_name, "Shuffling data")
            generator = rng.Generator(int(rng.get().u32(1)[0]))
        files = self.files(p, lines, transformer, generator, self.kind)
        glog.info(self.log_name, f"A total of {len(lines)} examples.")
        files.skip_some(self.log_name)
        return files


def read_pairs(path: str, kind: str) -> Lines:
    """The lines of a list: a picture's path and, unless ``kind`` is NONE, what belongs to it.

    Raises:
        DataError: the list cannot be read, is empty, or has a line of another form.
    """
    second = {"PIXEL": " label_image", "IMAGE": " label", "NONE": ""}[kind]
    expected = f"expected lines 'image{second}'"
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            lines = [line.split() for line in stream]
    except OSError as error:
        raise DataError(
            f"cannot read the list {path}: {error.strerror or error} (working directory "
            f"{os.getcwd()}); {expected}"
        ) from error
    pairs = []
    for number, words in enumerate(lines, 1):
        if not words:
            continue
        if len(words) != 2 and not (kind == "NONE" and len(words) == 1):
            raise DataError(
                f"{path}:{number}: got {len(words)} word(s), {' '.join(words)[:80]!r}; {expected}, "
                "without spaces in the names"
            )
        label = words[1] if len(words) > 1 else ""
        if kind == "IMAGE" and not label.lstrip("-").isdigit():
            raise DataError(f"{path}:{number}: {label!r} is no whole number; {expected}")
        pairs.append((words[0], label))
    if not pairs:
        raise DataError(f"File is empty: {path}; {expected}")
    return pairs
