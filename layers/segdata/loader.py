"""From files to a batch: decode, check, augment, subtract the mean."""

from collections.abc import Sequence
from typing import Callable, Optional

import numpy as np
from PIL import Image

from segdata.augment import Augmentation, cut, to_blob
from segdata.errors import DataError
from segdata.images import check_label, read_rgb
from segdata.order import draw_random

__all__ = ["BatchLoader"]


class BatchLoader:
    """Callable: a list of (draw number, index) → ``data`` (N, 3, H, W), ``label`` (N, 1, H, W).

    Knows the entries, pairs of image and label file, but no net, so that several threads can use
    it at once: the result depends on its argument alone.
    """

    def __init__(
        self,
        entries: Sequence[tuple[str, str]],
        read_label: Callable[[str], np.ndarray],
        classes: int,
        mean: np.ndarray,
        augmentation: Optional[Augmentation] = None,
        seed: int = 0,
        cache: bool = False,
    ) -> None:
        self.entries = entries
        self.read_label = read_label
        self.classes = classes
        self.mean = mean
        self.augmentation = augmentation or Augmentation()
        self.seed = seed
        self._cache = {} if cache else None

    def __call__(self, batch: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        views = [self._view(draw, index) for draw, index in batch]
        size = views[0][2].size
        for (_, index), (_, _, view) in zip(batch, views):
            if view.size != size:
                raise DataError(
                    "a batch needs images of one size (width x height): "
                    f"'{self.entries[batch[0][1]][0]}' is {size[1]}x{size[0]}, "
                    f"'{self.entries[index][0]}' is {view.size[1]}x{view.size[0]}; "
                    "set 'crop' or a 'batch_size' of 1")
        data = np.empty((len(batch), 3) + size, np.float32)
        label = np.empty((len(batch), 1) + size, np.uint8)
        for i, (image, classes, view) in enumerate(views):
            pixels, numbers, at = cut(image, classes, view)
            to_blob(pixels, numbers, self.mean, data[i], label[i], at, view.gain)
        return data, label

    def _view(self, draw, index):
        """The decoded image and label (Pillow images), and the view of them to serve."""
        image, label = self._decode(index)
        rng = draw_random(self.seed, draw) if self.augmentation.active else None
        return image, label, self.augmentation.draw(label, rng)

    def _decode(self, index: int) -> tuple[Image.Image, Image.Image]:
        if self._cache is not None and index in self._cache:
            return self._cache[index]
        image_path, label_path = self.entries[index]
        image = read_rgb(image_path)
        label = self.read_label(label_path)
        if (image.height, image.width) != label.shape:
            raise DataError(
                "image and label differ in size (width x height): "
                f"'{image_path}' is {image.width}x{image.height}, "
                f"'{label_path}' is {label.shape[1]}x{label.shape[0]}")
        check_label(label, self.classes, label_path)
        pair = image, Image.fromarray(label)
        if self._cache is not None:
            self._cache[index] = pair
        return pair
