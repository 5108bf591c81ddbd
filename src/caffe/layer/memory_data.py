"""MemoryData: batches from arrays of the caller's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caffe import glog
from caffe.data.data_transformer import DataTransformer
from caffe.errors import DataError, Error, LayerError
from caffe.layer import Layer, Need, register

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("MemoryData")
class MemoryData(Layer):
    """Walks through the arrays given to ``Net.set_input_arrays``, ``batch_size`` items at a time,
    and starts over at the end.

    The arrays are used in place: on the CPU the tops *are* a stretch of them, so later edits are
    seen by the next forward pass, and what is written into a top is written into the array.  (A
    read-only array is copied batch by batch.)  ``transform_param`` is not applied to arrays.

    Tops: data (batch_size, channels, height, width); labels (batch_size), and from the first
    forward pass on (batch_size, 1, 1, 1), as in BVLC.
    """

    graphable = False
    bottoms = 0
    tops = 2

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        p = self.param.memory_data_param
        self.batch_size = p.batch_size
        self.item = (p.channels, p.height, p.width)
        if min(self.batch_size, *self.item) < 1:
            raise self.fail(
                "batch_size, channels, height, and width must be specified and positive in "
                f"memory_data_param, got {self.batch_size}, {p.channels}, {p.height}, {p.width}",
                LayerError,
            )
        self._arrays: tuple[np.ndarray, np.ndarray] | None = None
        self._position = 0
        # BVLC makes a transformer that it never uses; its settings count, and the word it draws.
        try:
            DataTransformer(self.param.transform_param, self.phase).init_rand()
        except Error as error:
            raise self.fail(str(error), type(error)) from error
        top[0].set_dims((self.batch_size, *self.item))
        top[1].set_dims((self.batch_size,))

    def set_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """See ``Net.set_input_arrays``; raises DataError, and then the arrays before stay."""
        if isinstance(labels, np.ndarray) and labels.ndim == 1:
            labels = np.ascontiguousarray(labels[:, np.newaxis, np.newaxis, np.newaxis])
        self._check("data array", data, self.item)
        self._check("labels array", labels, (1, 1, 1))
        if len(data) != len(labels):
            raise self.fail(
                "data and labels must have the same first dimension, got "
                f"{len(data)} and {len(labels)}",
                DataError,
            )
        if not len(data) or len(data) % self.batch_size:
            raise self.fail(
                "first dimensions of input arrays must be a multiple of batch size: got "
                f"{len(data)} items, batch_size is {self.batch_size}",
                DataError,
            )
        if self.param.HasField("transform_param"):
            glog.warning("memory_data_layer", "MemoryData does not transform array data on Reset()")
        self._arrays = (data, labels)
        self._position = 0

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing: the shapes are fixed."""

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self._arrays is None:
            raise self.fail(
                "MemoryDataLayer needs to be initialized by calling Reset: give it arrays with "
                "net.set_input_arrays(data, labels) before the first forward pass",
                DataError,
            )
        end = self._position + self.batch_size
        for blob, array in zip(top, self._arrays):
            blob.use_memory(array[self._position : end])
        self._position = end % len(self._arrays[0])

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Nothing below this layer."""

    def _check(self, what: str, array: Any, item: tuple[int, ...]) -> None:
        """Raise DataError unless ``array`` is float32, C-contiguous and (N, *item)."""
        expected = f"expected a C-contiguous float32 NumPy array (N, {', '.join(map(str, item))})"
        if not isinstance(array, np.ndarray):
            raise self.fail(f"{what}: {expected}, got {type(array).__name__}", DataError)
        problem = None
        if not array.flags.c_contiguous:
            problem = "must be C contiguous (see numpy.ascontiguousarray)"
        elif array.ndim != 4:
            problem = "must be 4-d"
        elif array.dtype != np.float32:
            problem = "must be float32"
        else:
            for axis, size, wanted in zip(("channels", "height", "width"), array.shape[1:], item):
                if size != wanted:
                    number = "number of " if axis == "channels" else ""
                    problem = f"has wrong {number}{axis}"
                    break
        if problem:
            raise self.fail(
                f"{what} {problem}: {expected}, got {array.dtype} {array.shape}", DataError
            )
