"""The base class of the data layers: tops ``data`` (N, 3, H, W), ``label`` (N, 1, H, W), …"""

import time
from typing import Any, Optional

import caffe
from segdata.augment import Augmentation
from segdata.errors import DataError
from segdata.images import read_label
from segdata.loader import BatchLoader
from segdata.order import batches
from segdata.params import numbers, parse_params
from segdata.prefetch import Prefetcher
from segdata.processes import ProcessPrefetcher
from segdata.streams import ColorStream, LabelStream, Stream
from segdata.upload import levels_of

__all__ = ["SegDataLayer"]

#: Keys of param_str that every data layer takes, with their defaults.
OPTIONAL = {
    "randomize": True,  # random order; only in splits whose name contains "train"
    "seed": None,  # of order and augmentation; None takes the time
    "classes": None,  # number of classes, where it is not the dataset's usual one
    "batch_size": 1,  # images of one size, unless there is a crop
    "mirror": False,  # left-right, every second time on average
    "scale": None,  # (low, high): uniform factor of the size
    "crop": None,  # (height, width) of a random window, padded where the image is smaller
    "balance": 0.0,  # share of the crops laid around an evenly drawn class of the image
    "light": 0.0,  # brightness varies by up to this share, each channel by half of it
    "color": 0.0,  # contrast and saturation vary by up to this share
    "cache": False,  # keep decoded images in memory: 3 bytes a pixel, 1 for a label, 4 for depth
    "workers": 1,  # 1: a background thread; more: so many processes, each with its own cache
}


class SegDataLayer(caffe.Layer):
    """Serves images and label maps of a split, one whole image of its own size by default.

    ``data`` is float32 BGR minus ``mean``; ``label`` holds class numbers, 255 = ignored.

    With several solvers (``caffe train -gpu 0,1``) every process reads the whole split, as Caffe
    splits no Python layer: leave ``seed`` None there, so that each has an order of its own.

    The order is random (see segdata.order) or, with ``randomize`` False or without "train" in
    the split's name, that of the split file, over and over.  Batches are prepared in the
    background; neither order nor augmentation depends on that.

    Attributes for the user: ``position``, the number of batches served so far, and
    ``seek(position)``, which makes the layer go on as if it had served that many.

    A subclass sets ``required`` and ``num_classes`` and defines ``list_entries``; one with other
    tops than an image and a label also defines ``streams``.
    """

    #: Keys that ``param_str`` must have.
    required: tuple[str, ...] = ("split", "mean")
    #: Keys of this layer alone that it may have, with their defaults.
    optional: dict[str, Any] = {}
    #: B, G, R, where it is no key of ``param_str``.
    mean: Any = None
    #: Number of classes, unless ``param_str`` says otherwise.
    num_classes: Optional[int] = None
    #: Reads a label file: path → uint8 (H, W), class numbers, 255 = ignored.
    read_label = staticmethod(read_label)

    def list_entries(self, params: dict) -> list[tuple[str, ...]]:
        """The files of each image of the split, in order: a file for each of ``streams``."""
        raise TypeError(f"{type(self).__name__} must define list_entries()")

    def label_reader(self, params: dict):
        """The function that reads a label file, where it depends on ``param_str``."""
        return self.read_label

    def streams(self, params: dict) -> list[Stream]:
        """What the tops serve, in their order: an image and its label map."""
        mean = self.mean
        if mean is None:
            mean = numbers(params, "mean", 3, type(self).__name__)
        classes = int(params["classes"] or self.num_classes or 0)
        return [ColorStream(mean), LabelStream(self.label_reader(params), classes)]

    def setup(self, bottom, top) -> None:
        """Read ``param_str`` and the split's list; images are read when they are needed."""
        name = type(self).__name__
        if len(bottom) != 0:
            raise DataError(f"{name}: a data layer takes no bottom; received {len(bottom)}")
        params = parse_params(self.param_str, self.required, dict(OPTIONAL, **self.optional), name)
        streams = self.streams(params)
        if len(top) != len(streams):
            raise DataError(
                "{}: expected {} tops, {}; received {}".format(
                    name, len(streams), " and ".join(stream.what for stream in streams), len(top)
                )
            )
        split = str(params["split"])
        self.entries = self.list_entries(params)
        if not self.entries:
            raise DataError(f"{name}: split '{split}' is empty")
        self.batch_size, self._workers = int(params["batch_size"]), int(params["workers"])
        self.random = bool(params["randomize"]) and "train" in split
        self.seed = int(time.time() * 1e6) if params["seed"] is None else int(params["seed"])
        self._levels = levels_of(streams)
        self._load = BatchLoader(
            self.entries,
            streams,
            augmentation=_augmentation(params, split, name),
            seed=self.seed,
            cache=bool(params["cache"]),
            as_bytes=[levels is not None for levels in self._levels],
        )
        self._prefetcher: Any = None
        self.seek(0)

    def reshape(self, bottom, top) -> None:
        """Give the tops the current batch's size; moves nothing on, however often called."""
        arrays = self._prefetcher.current()
        for i in range(len(self._levels)):  # Caffe's `top` is no iterable
            top[i].reshape(*arrays[i].shape)

    def forward(self, bottom, top) -> None:
        """Copy the current batch to the tops and go on to the next."""
        arrays = self._prefetcher.current()
        more = iter(arrays[len(self._levels) :])
        for i, levels in enumerate(self._levels):
            if levels is None:
                top[i].data[...] = arrays[i]
            else:
                levels.write(top[i], arrays[i], next(more), next(more))
        self._prefetcher.advance()
        self.position += 1

    def backward(self, top, propagate_down, bottom) -> None:
        """Nothing: data has no gradient."""

    def seek(self, position: int) -> None:
        """Make batch number ``position``, counted from 0, the next one served."""
        if position < 0:
            raise DataError(
                f"{type(self).__name__}: cannot seek to batch {position}; expected 0 or more"
            )
        if self._prefetcher is not None:
            self._prefetcher.close()
        self.position = int(position)
        tasks = batches(
            len(self.entries), self.batch_size, self.seed if self.random else None, self.position
        )
        if self._workers > 1:
            self._prefetcher = ProcessPrefetcher(self._load, tasks, self._workers)
        else:
            self._prefetcher = Prefetcher(self._load, tasks)


def _augmentation(params: dict, split: str, name: str) -> Augmentation:
    """The checked augmentation keys."""
    scale, crop = params["scale"], params["crop"]
    if scale is not None:
        scale = tuple(float(v) for v in numbers(params, "scale", 2, name))
        if not 0 < scale[0] <= scale[1]:
            raise DataError(
                f"{name}: expected scale as (low, high) with 0 < low <= high; received {scale}"
            )
    if crop is not None:
        crop = tuple(int(v) for v in numbers(params, "crop", 2, name))
        if min(crop) < 1:
            raise DataError(f"{name}: expected crop as (height, width) in pixels; received {crop}")
    balance = params["balance"]
    if not (isinstance(balance, (int, float)) and 0 <= balance <= 1) or (balance and not crop):
        raise DataError(
            f"{name}: expected balance as a share from 0 to 1 of the crops, together "
            f"with crop; received balance {balance!r} and crop {crop}"
        )
    light, color = params["light"], params["color"]
    for key, value in (("light", light), ("color", color)):
        if not (isinstance(value, (int, float)) and 0 <= value < 1):
            raise DataError(
                f"{name}: expected {key} as a share from 0 to below 1; received {value!r}"
            )
    augmentation = Augmentation(
        scale, crop, bool(params["mirror"]), float(balance), float(light), float(color)
    )
    if augmentation.active and "train" not in split:
        raise DataError(
            f"{name}: mirror, scale, crop, light and color are for training, and the name of split "
            f"'{split}' has no 'train' in it"
        )
    return augmentation
