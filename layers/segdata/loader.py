"""From files to a batch: decode, check, augment, and write the tops."""

from collections.abc import Sequence
from typing import Optional

import numpy as np
from PIL import Image

from segdata.augment import Augmentation, View, cut, recoloured
from segdata.errors import DataError
from segdata.images import open_image, orientation
from segdata.order import draw_random
from segdata.streams import LabelStream, Stream

__all__ = ["BatchLoader"]


class BatchLoader:
    """Callable: a list of (draw number, index) → an array (N, channels, H, W) for each stream.

    An entry has a file for each stream, in their order.  Knows no net, so that several threads can
    use it at once: the result depends on its argument alone.
    """

    def __init__(
        self,
        entries: Sequence[tuple[str, ...]],
        streams: Sequence[Stream],
        augmentation: Optional[Augmentation] = None,
        seed: int = 0,
        cache: bool = False,
    ) -> None:
        self.entries = entries
        self.streams = streams
        self.augmentation = augmentation or Augmentation()
        self.seed = seed
        self._cache: Optional[dict[int, tuple[Image.Image, ...]]] = {} if cache else None
        #: The stream that a view is drawn for: the first label, where there is one.
        labels = [i for i, stream in enumerate(streams) if isinstance(stream, LabelStream)]
        self._leading = labels[0] if labels else 0

    def __call__(self, batch: list[tuple[int, int]], empty=None) -> tuple[np.ndarray, ...]:
        """``empty`` makes the arrays, from a list of (shape, type)."""
        views = [self._view(draw, index) for draw, index in batch]
        size = views[0][1].size
        for (_, index), (_, view) in zip(batch, views):
            if view.size != size:
                raise DataError(
                    "a batch needs images of one size (width x height): "
                    f"'{self.entries[batch[0][1]][0]}' is {size[1]}x{size[0]}, "
                    f"'{self.entries[index][0]}' is {view.size[1]}x{view.size[0]}; "
                    "set 'crop' or a 'batch_size' of 1"
                )
        layout = [
            ((len(batch), stream.channels) + size, np.dtype(stream.dtype).str)
            for stream in self.streams
        ]
        try:
            tops = tuple(empty(layout) if empty else (np.empty(*each) for each in layout))
        except (MemoryError, OverflowError, ValueError) as error:
            shapes = " and ".join(str(shape) for shape, _ in layout)
            raise DataError(
                f"a batch of shape {shapes} is more than there is memory for ({error}): lower "
                "'crop' or 'batch_size'"
            ) from error
        for i, (images, view) in enumerate(views):
            for stream, image, top in zip(self.streams, images, tops):
                pixels, at = cut(image, view, stream.resampling)
                if view.color is not None and stream.photographs:
                    pixels = recoloured(pixels, *view.color)
                stream.write(top[i], pixels, at, view.gain)
        return tops

    def _view(self, draw: int, index: int) -> tuple[tuple[Image.Image, ...], View]:
        """The decoded images of an entry, and the view of them to serve."""
        images = self._decode(index)
        rng = draw_random(self.seed, draw) if self.augmentation.active else None
        return images, self.augmentation.draw(images[self._leading], rng)

    def _decode(self, index: int) -> tuple[Image.Image, ...]:
        if self._cache is not None and index in self._cache:
            return self._cache[index]
        paths = self.entries[index]
        images = tuple(stream.read(path) for stream, path in zip(self.streams, paths))
        for stream, path, image in zip(self.streams, paths, images):
            if image.size != images[0].size:
                raise DataError(
                    f"{self.streams[0].what} and {stream.what} differ in size (width x height): "
                    f"'{paths[0]}' is {images[0].width}x{images[0].height}, "
                    f"'{path}' is {image.width}x{image.height}{_turned(paths[0])}"
                )
        if self._cache is not None:
            self._cache[index] = images
        return images


def _turned(path: str) -> str:
    """For a message: that the first image was turned, where it was."""
    with open_image(path, decode=False) as image:
        tag = orientation(image)
    if tag == 1:
        return ""
    return (
        f"; the image has EXIF orientation {tag} and is read upright, as viewers show it: its mask "
        "must be upright too"
    )
