"""ImageData: pictures from image files that a list names."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe import glog, rng
from caffe.data import image_files
from caffe.data.data_transformer import DataTransformer
from caffe.data.image_list import read_list
from caffe.errors import DataError, LayerError
from caffe.layer import register
from caffe.layer._prefetching import PictureSource, PrefetchingLayer
from caffe.rank import solver_rank
from caffe.rng import shuffled

TRAIN = 0


@register("ImageData")
class ImageData(PrefetchingLayer):
    """The images of a list file, one ``path label`` a line, in order, over and over.

    ``image_data_param``: source (the list), root_folder (put before each path as it is, so end it
    with a slash), batch_size (1), new_height and new_width (both, or neither to keep the files'
    size), is_color (true), shuffle (before each pass, from Caffe's seed), rand_skip (begin up to so
    many lines later).  ``transform_param``: see :mod:`caffe.data.data_transformer`.  Several
    solvers do not share the images out, as in BVLC: shuffle, or use Data.

    Tops: data (batch_size, 3, H, W) in B G R, or (batch_size, 1, H, W); label (batch_size).
    """

    graphable = False
    tops = 2
    log_name = "image_data_layer"

    @property
    def batch_size(self) -> int:
        return self.param.image_data_param.batch_size

    def source(self, transformer: DataTransformer) -> PictureSource:
        p = self.param.image_data_param
        check_new_size(p)
        glog.info(self.log_name, f"Opening file {p.source}")
        lines = read_list(p.source)
        if not lines:
            raise DataError(f"File is empty: {p.source}; expected lines 'path label'")
        generator = None
        if p.shuffle:
            glog.info(self.log_name, "Shuffling data")
            generator = rng.Generator(int(rng.get().u32(1)[0]))
        elif self.phase == TRAIN and solver_rank() > 0 and p.rand_skip == 0:
            glog.warning(self.log_name, "Shuffling or skipping recommended for multi-GPU")
        files = Files(p, lines, transformer, generator)
        glog.info(self.log_name, f"A total of {len(lines)} images.")
        files.skip_some(self.log_name)
        return files


def check_new_size(param: Any) -> None:
    """LayerError where a layer's settings give one of new_height and new_width alone."""
    if (param.new_height > 0) != (param.new_width > 0):
        raise LayerError(
            "new_height and new_width must be set at the same time: got new_height "
            f"{param.new_height}, new_width {param.new_width}"
        )


class Files(PictureSource):
    """The images of a list; ``generator`` shuffles it before each pass."""

    def __init__(
        self,
        param: Any,
        lines: list[tuple[str, int]],
        transformer: DataTransformer,
        generator: rng.Generator | None,
    ) -> None:
        super().__init__(transformer, param.batch_size)
        self._param, self._lines, self._generator = param, lines, generator
        self._order = np.arange(len(lines))
        self._number = 0
        self._shuffle()

    def skip_some(self, log_name: str) -> None:
        """Begin a random number of lines later, below ``rand_skip`` where that is set."""
        p = self._param
        if not p.rand_skip:
            return
        skip = int(rng.get().u32(1)[0]) % p.rand_skip
        glog.info(log_name, f"Skipping first {skip} data points.")
        if skip >= len(self._lines):
            raise DataError(
                f"Not enough points to skip: {skip} of {len(self._lines)} lines of {p.source}; "
                f"expected rand_skip up to the number of lines, got {p.rand_skip}"
            )
        self._number = skip

    def picture(self) -> tuple[np.ndarray, int]:
        p = self._param
        path, label = self._lines[self._order[self._number]]
        image = image_files.read(p.root_folder + path, p.is_color)
        if p.new_height:
            image = image_files.resize(image, p.new_height, p.new_width)
        return image.transpose(2, 0, 1), label

    def advance(self) -> None:
        self._number += 1
        if self._number == len(self._lines):
            self._number = 0
            self._shuffle()

    def name(self) -> str:
        number = int(self._order[self._number])
        return f"{self._param.source}:{number + 1} ({self._lines[number][0]})"

    def position(self) -> Any:
        return self._number, self._order, self._generator and self._generator.state()

    def set_position(self, position: Any) -> None:
        self._number, self._order, state = position
        if self._generator:
            self._generator.set_state(state)

    def _shuffle(self) -> None:
        if self._generator:
            self._order = shuffled(self._order, self._generator)
