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
        as_bytes: Sequence[bool] = (),
    ) -> None:
        """``as_bytes``: for each stream, whether its array is bytes, uint8 (N, channels, H, W).

        For each of these two arrays follow behind those of the streams: float32 (N, channels, 256),
        what a byte means, and int32 (N, 4), row, column, height and width of what is no padding.
        """
        self.entries = entries
        self.streams = streams
        self._as_bytes = list(as_bytes) or [False] * len(streams)
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
        layout = self._layout(len(batch), size)
        try:
            tops = tuple(empty(layout) if empty else (np.empty(*each) for each in layout))
        except (MemoryError, OverflowError, ValueError) as error:
            shapes = " and ".join(str(shape) for shape, _ in layout)
            raise DataError(
                f"a batch of shape {shapes} is more than there is memory for ({error}): lower "
                "'crop' or 'batch_size'"
            ) from error
        for i, (images, view) in enumerate(views):
            more = iter(tops[len(self.streams) :])
            for stream, image, top, as_bytes in zip(self.streams, images, tops, self._as_bytes):
                pixels, at = cut(image, view, stream.resampling)
                if view.color is not None and stream.photographs:
                    pixels = recoloured(pixels, *view.color)
                if as_bytes:
                    _write_bytes(stream, (top[i], next(more)[i], next(more)[i]), pixels, at, view)
                else:
                    stream.write(top[i], pixels, at, view.gain)
        return tops

    def _layout(self, number: int, size: tuple) -> list[tuple[tuple, str]]:
        """(shape, type) of each array of a batch."""
        layout: list[tuple[tuple, str]] = []
        more: list[tuple[tuple, str]] = []
        for stream, as_bytes in zip(self.streams, self._as_bytes):
            dtype = np.dtype(np.uint8 if as_bytes else stream.dtype).str
            layout.append(((number, stream.channels) + size, dtype))
            if as_bytes:
                more.append(((number, stream.channels, 256), np.dtype(np.float32).str))
                more.append(((number, 4), np.dtype(np.int32).str))
        return layout + more

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


def _write_bytes(stream: Stream, arrays: tuple, pixels: np.ndarray, at: tuple, view: View) -> None:
    """One picture of a batch of bytes: (pixels, table, window)."""
    out, table, window = arrays
    (y, x), (height, width) = at, pixels.shape[:2]
    if (height, width) != out.shape[1:]:
        out[...] = 0
    out[:, y : y + height, x : x + width] = stream.planes(pixels)
    table[...] = stream.table(view.gain)
    window[...] = y, x, height, width


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
