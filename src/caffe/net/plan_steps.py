"""What the execution plan runs as one step: a convolution with the ReLU after it, or a max pooling.

A step writes into the memory that it filled in the last pass, as long as nobody else has it: fresh
memory costs a page fault every 4 KB.  Within an inference net it also knows which part of its
output depends on the image (its *window*); the rest, the *border*, is kept from the last pass
while everything that it depends on is as it was.  Versions of the storages tell (storage/), so
whatever a user reads, edits or keeps in between, the blobs hold what a full pass gives.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from typing import NamedTuple, cast

import torch

from caffe.arithmetic import precision
from caffe.blob import Blob
from caffe.errors import naming
from caffe.kernels.window import Interval, Window, blocks_of, dependent, whole
from caffe.layer.convolution import Convolution
from caffe.layer.pooling import Pooling
from caffe.net.wiring import Graph
from caffe.storage import Storage

__all__ = ["ConvolutionStep", "PoolingStep", "Step"]


class _Border:
    """Stands for one computation of a border; two results have equal borders if it is the same."""


class _Result(NamedTuple):
    """What a step left in its top."""

    storage: Storage
    version: int | None
    tensor: weakref.ref[torch.Tensor]  # not kept alive where the storage has moved on
    window: Window | None
    weights: tuple[int | None, ...]  # versions
    below: _Border | None  # the bottom's border
    border: _Border
    precision: str

    def is_in(self, storage: Storage) -> bool:
        """True while ``storage`` holds this result, untouched."""
        return (
            self.storage is storage
            and storage.holds(self.tensor())
            and storage.version() == self.version
        )


class Step(ABC):
    """Consecutive layers, the first of them ``first``, with one bottom and one top.

    Attributes:
        end: the layer after the step's last.
        source: the step whose result is the bottom, within a chain of steps from an Input layer;
            None for the first of the chain.
        on_device: whether the step gains anything on a GPU.
    """

    on_device = False

    def __init__(self, graph: Graph, first: int, end: int) -> None:
        self.end = end
        self.source: Step | None = None
        self.bottom: Blob = graph.blobs[graph.bottoms[first][0]]
        self.top: Blob = graph.blobs[graph.tops[first][0]]
        self._layers = graph.layers[first:end]
        self._window: Window | None = None
        self._rows: Interval = (0, 0)
        self._columns: Interval = (0, 0)
        self._size = (0, 0)
        self._result: _Result | None = None
        self._shapes: tuple[tuple[int, ...], tuple[int, ...]] | None = None  # in the last pass

    # The window -----------------------------------------------------------------------------------

    def set_window(self, shape: tuple[int, ...]) -> None:
        """Find the window for an Input of this shape; the step's source has done so before."""
        self.clear_window()
        source = self.source
        if source is not None:
            if source._window is None:
                return
            shape = (shape[0], source.top.dims[1], *source._size)
            inside = source._rows, source._columns
        else:
            inside = (0, shape[2]), (0, shape[3])
        if not self._takes(shape):
            return
        layer = cast("Convolution | Pooling", self._layers[0])
        kernel = layer.kernel if isinstance(layer, Convolution) else layer.fixed_kernel or []
        dilation = getattr(layer, "dilation", (1, 1))
        self._size = layer.out_size(0, shape[2]), layer.out_size(1, shape[3])
        if min(self._size) <= 0:
            return
        self._rows, self._columns = (
            dependent(
                inside[axis],
                self._size[axis],
                dilation[axis] * (kernel[axis] - 1) + 1,
                layer.stride[axis],
                layer.pad[axis],
            )
            for axis in (0, 1)
        )
        if not whole(self._rows, self._columns, *self._size):
            self._use(Window(shape, blocks_of(self._rows, self._columns, *self._size)))

    def clear_window(self) -> None:
        self._use(None)

    def _use(self, window: Window | None) -> None:
        self._window = window

    @abstractmethod
    def _takes(self, shape: tuple[int, ...]) -> bool:
        """Whether the step can compute a part of its output for a bottom of this shape."""

    # Running --------------------------------------------------------------------------------------

    def run(self) -> None:
        """Forward through the step's layers."""
        self._reshape()
        storage = self.top.data_storage
        out = self._own_memory(storage)
        weights: tuple[int | None, ...] = ()  # a border depends on them
        if self._window is not None:
            weights = tuple(b.data_storage.version() for b in self._layers[0].blobs)
        keep = out is not None and self._border_is_valid(storage, weights)
        border = self._result.border if keep and self._result else _Border()
        self._result = None  # nothing is known if the computation stops half-way
        y = self._compute(self.bottom.data_tensor(), out, keep)
        if y is out:
            self.top.touch_data()
        else:
            self.top.set_data(y)
        self._result = _Result(
            storage,
            storage.version(),
            weakref.ref(y),
            self._window,
            weights,
            self._border_below(),
            border,
            precision(),
        )

    def run_on_device(self) -> None:
        """Forward through the step's layers on a GPU: fresh memory costs nothing there."""
        self._reshape()
        self.top.set_data(self._compute(self.bottom.data_tensor(), None, False))

    def _reshape(self) -> None:
        """Give the top its shape, where a shape has changed."""
        if self._shapes == (self.bottom.dims, self.top.dims):
            return
        for layer in self._layers:
            bottom = self.bottom if layer is self._layers[0] else self.top
            with naming(layer):
                layer.reshape_blobs([bottom], [self.top])
        self._shapes = self.bottom.dims, self.top.dims

    @abstractmethod
    def _compute(self, x: torch.Tensor, out: torch.Tensor | None, keep: bool) -> torch.Tensor:
        """The top, in ``out`` where that is given; with ``keep`` only its window is written."""

    def _own_memory(self, storage: Storage) -> torch.Tensor | None:
        """The tensor of the last pass, if it is still this blob's and nobody else's."""
        if self._result is None or self._result.storage is not storage:
            return None
        if self._result.precision != precision():
            return None
        tensor = self._result.tensor()
        if tensor is None or not storage.holds(tensor) or tuple(tensor.shape) != self.top.dims:
            return None
        return tensor

    def _border_is_valid(self, storage: Storage, weights: tuple[int | None, ...]) -> bool:
        last = self._result
        window = self._window
        if (
            last is None
            or window is None
            or last.window != window
            or not window.fits(self.bottom.dims)
        ):
            return False
        if None in weights or last.weights != weights or not last.is_in(storage):
            return False
        return self.source is None or (
            last.below is not None and self._border_below() is last.below
        )

    def _border_below(self) -> _Border | None:
        """The border of the bottom as it is now; None for an image or where nobody knows."""
        below = None if self.source is None else self.source._result
        if below is None or not below.is_in(self.bottom.data_storage):
            return None
        return below.border


class ConvolutionStep(Step):
    """A Convolution, and the in-place ReLU after it where the step has two layers."""

    on_device = True

    def _use(self, window: Window | None) -> None:
        super()._use(window)
        # The layer computes in the same blocks when it runs by itself, for the same bits.
        self._convolution().window = window

    def _takes(self, shape: tuple[int, ...]) -> bool:
        layer = self._convolution()
        return layer.channels == shape[1] and layer.works_in_blocks(shape)

    def _compute(self, x: torch.Tensor, out: torch.Tensor | None, keep: bool) -> torch.Tensor:
        layer = self._convolution()
        weight, *bias = (b.data_tensor() for b in layer.blobs)
        relu = len(self._layers) > 1
        return layer.compute(
            x, weight, bias[0] if bias else None, relu=relu, out=out, window_only=keep
        )

    def _convolution(self) -> Convolution:
        return cast(Convolution, self._layers[0])


class PoolingStep(Step):
    """A MAX Pooling whose indices nobody can ask for."""

    def _takes(self, shape: tuple[int, ...]) -> bool:
        return True

    def _compute(self, x: torch.Tensor, out: torch.Tensor | None, keep: bool) -> torch.Tensor:
        layer = cast(Pooling, self._layers[0])
        return layer.maxima(x, out, self._window.blocks[0] if keep and self._window else None)
