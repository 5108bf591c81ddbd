"""What the layers that read pictures in the background have in common (Data, ImageData)."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from caffe import glog, rng
from caffe.data.data_transformer import DataTransformer
from caffe.data.prefetch import Prefetcher, Source
from caffe.device import current
from caffe.errors import DataError, Error, LayerError
from caffe.layer import Layer, Need

if TYPE_CHECKING:
    from caffe.blob import Blob


class PictureSource(abc.ABC):
    """Pictures and labels, one after the other, made into batches (data, labels).

    A batch takes its shape from its first picture, so with a batch size of 1 every picture can
    have its own size.
    """

    def __init__(self, transformer: DataTransformer, batch_size: int) -> None:
        self.transformer, self.batch_size = transformer, batch_size
        self.pinned = False  # whether batches lie where a GPU can fetch them

    @abc.abstractmethod
    def picture(self) -> tuple[np.ndarray, int]:
        """The picture here, uint8 or float32 (C, H, W), and its label."""

    @abc.abstractmethod
    def advance(self) -> None:
        """Go to the next picture."""

    @abc.abstractmethod
    def name(self) -> str:
        """What is here, for errors."""

    @abc.abstractmethod
    def position(self) -> Any:
        """The place without the transformer's stream."""

    @abc.abstractmethod
    def set_position(self, position: Any) -> None:
        """Continue at a :meth:`position`."""

    def find(self) -> None:  # noqa: B027
        """Pass over pictures that are not this solver's; all are, unless overridden."""

    def shape(self) -> tuple[int, ...]:
        """The shape of the batch that begins here."""
        try:
            return (self.batch_size, *self.transformer.shape(self.picture()[0]))
        except Error as error:
            raise DataError(f"{self.name()}: {error}") from error

    def shapes(self) -> Sequence[tuple[int, ...]]:
        """The shapes of the tops for that batch."""
        shape = self.shape()
        return shape, shape[:1]

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        data = labels = self._empty(self.batch_size)
        for item in range(self.batch_size):
            self.find()
            try:
                pixels, labels[item] = self.picture()
                if item == 0:  # it says how large the pictures are
                    data = self._empty_for(pixels)
                elif data.dtype is torch.uint8 and not self.transformer.levels(pixels):
                    data = self.transformer.level(data)  # a database may hold both kinds
                    data = data.pin_memory() if self.pinned else data
                self.transformer.apply(pixels, data[item].numpy())
            except Error as error:
                raise DataError(f"{self.name()}: {error}") from error
            self.advance()
        return data, labels

    def _empty_for(self, pixels: np.ndarray) -> torch.Tensor:
        """Memory for a batch of such pictures: bytes where a GPU subtracts the mean."""
        as_bytes = self.pinned and self.transformer.levels(pixels)
        dtype = torch.uint8 if as_bytes else torch.float32
        return self._empty(self.batch_size, *self.transformer.shape(pixels), dtype=dtype)

    def _empty(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=self.pinned)

    def place(self) -> Any:
        return self.position(), self.transformer.state()

    def go_to(self, place: Any) -> None:
        position, state = place
        self.set_position(position)
        self.transformer.set_state(state)


class BatchSource(Source, Protocol):
    """What a layer needs of its source beside the batches."""

    pinned: bool  # make batches in memory from which a GPU copies without waiting

    def shapes(self) -> Sequence[tuple[int, ...]]:
        """The shapes of the tops for the next batch."""


class PrefetchingLayer(Layer):
    """Base of Data and ImageData: their ``source`` opens what the layer reads.

    Batches are made by a thread, ``data_param.prefetch`` (4) of them ahead, from the first forward
    pass on; what they hold is decided by the seed alone.
    """

    graphable = False
    bottoms = 0
    log_name = ""  # the file that BVLC's log lines come from

    @abc.abstractmethod
    def source(self, transformer: DataTransformer) -> BatchSource:
        """Open the data, at the first picture."""

    @property
    @abc.abstractmethod
    def batch_size(self) -> int:
        """``batch_size`` of the layer's settings."""

    def transformer(self) -> DataTransformer:
        """What is done to each picture."""
        return DataTransformer(self.param.transform_param, self.phase)

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        prefetch = self.param.data_param.prefetch
        for field, value in (("batch_size", self.batch_size), ("prefetch", prefetch)):
            if value < 1:
                raise self.fail(f"{field} must be positive, got {value}", LayerError)
        try:
            transformer = self._transformer = self.transformer()
            transformer.init_rand()
            source = self.source(transformer)
            shapes = source.shapes()
        except Error as error:
            raise self.fail(str(error), type(error)) from error
        glog.info(self.log_name, f"output data size: {','.join(map(str, shapes[0]))}")
        # BVLC seeds the transformer again, and its thread, whose stream nothing uses.
        transformer.init_rand()
        rng.get().u32(1)
        source.pinned = self._pinned = current().pinned
        self._prefetcher = Prefetcher(source, prefetch, f"layer '{self.name}'")
        for blob, dims in zip(top, shapes):
            blob.set_dims(dims)

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing: each batch brings its shape."""

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        try:
            batch = self._prefetcher.next()
        except Error as error:
            raise self.fail(str(error), DataError) from error
        for blob, values in zip(top, batch):
            blob.set_dims(tuple(values.shape))
        pixels, *labels = batch
        device = current()
        if self._pinned or not device.pinned:
            pixels = pixels.to(device.torch_device, non_blocking=self._pinned)
        else:  # the net was built for another device
            pixels = device.upload(pixels.numpy())
        if pixels.dtype is torch.uint8:
            pixels = self._transformer.level(pixels)
        top[0].set_data(pixels)
        for blob, values in zip(top[1:], labels):
            blob.set_host_data(values.numpy())  # where a loss checks them without waiting

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Nothing below this layer."""
