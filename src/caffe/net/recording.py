"""What a pass reads, changes and leaves, noted while its launches are captured into a CUDA graph,
and how the graph is replayed for the blobs as they are later (net/replay.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from caffe.blob import Blob
from caffe.layer import Layer
from caffe.storage import Storage

__all__ = ["NotCapturable", "Recorder", "Recording", "generators_of", "inner_blobs", "kept_by"]


class NotCapturable(RuntimeError):
    """A range wants something while it is captured that only the host can give."""


class _Read(NamedTuple):
    storage: Storage
    shape: tuple[int, ...]
    tensor: torch.Tensor


class _Derived(NamedTuple):
    storage: Storage
    key: str
    make: Callable[[], Any]
    value: Any
    version: int | None


class Recorder:
    """Notes what a pass reads first, what it changes, and what it derives from weights.

    Args:
        ready: where a graph is being captured, the tensors of what the pass reads first.
    """

    def __init__(self, ready: dict[int, torch.Tensor] | None = None) -> None:
        self.read: dict[int, _Read] = {}
        self.changed: dict[int, tuple[Storage, tuple[Any, ...]]] = {}
        self.derived: list[_Derived] = []
        self._ready = ready

    def reads(self, storage: Storage, shape: Sequence[int]) -> torch.Tensor:
        key = id(storage)
        if key in self.changed:
            return storage.newest(shape)
        known = self.read.get(key)
        if known is not None and known.shape == tuple(shape):
            return known.tensor
        if self._ready is None:
            tensor = storage.newest(shape)
        elif key in self._ready:
            tensor = self._ready[key]
            if tensor.shape != tuple(shape):  # else a view could have other strides, which count
                tensor = tensor.view(tuple(shape))
        else:
            raise NotCapturable("a blob of another pass is read")
        if known is None:
            self.read[key] = _Read(storage, tuple(shape), tensor)
        return tensor

    def changes(self, storage: Storage) -> None:
        if id(storage) not in self.changed:
            self.changed[id(storage)] = storage, storage.snapshot()

    def derives(
        self, storage: Storage, key: str, make: Callable[[], Any], found: tuple[int, Any] | None
    ) -> Any:
        if self._ready is None:
            value = found[1] if found is not None else make()
            if found is None:
                storage.renew(key, value)
            return value
        if found is None:
            return make()  # weights that change from step to step: a part of the graph
        self.derived.append(_Derived(storage, key, make, found[1], found[0]))
        return found[1]


class _Bound(NamedTuple):
    """A blob and the memory it had."""

    blob: Blob
    data: Storage
    diff: Storage


def kept_by(layer: Layer) -> dict[str, Any]:
    """What a layer keeps from one pass to the next: tensors and tuples of them."""
    return {
        name: value
        for name, value in vars(layer).items()
        if isinstance(value, torch.Tensor)
        or (isinstance(value, tuple) and any(isinstance(v, torch.Tensor) for v in value))
    }


def inner_blobs(layer: Layer) -> list[Blob]:
    """The blobs that a layer has besides its parameters (the states of a recurrent layer)."""
    lists = [v for v in vars(layer).values() if isinstance(v, list) and v is not layer.blobs]
    return [blob for values in lists for blob in values if isinstance(blob, Blob)]


def generators_of(layers: Sequence[Layer]) -> list[torch.Generator]:
    return [generator for layer in layers for generator in layer.generators()]


class Recording:
    """One captured graph of a range."""

    def __init__(
        self,
        layers: list[Layer],
        blobs: list[Blob],
        graph: Any,
        recorder: Recorder,
        result: Any,
        before: list[dict[str, Any]],
    ) -> None:
        self._graph = graph
        self._result = result
        self._reads = list(recorder.read.values())
        self._derived = recorder.derived
        self._writes = [(s, s.held, s.promised) for s, _ in recorder.changed.values()]
        self._blobs = [_Bound(b, b.data_storage, b.diff_storage) for b in blobs]
        self._before = before
        self._layers = layers
        self._generators = generators_of(layers)
        self._after = []
        for layer in layers:
            kept: dict[str, Any] = {
                name: v for name, v in vars(layer).items() if v is None or isinstance(v, bool)
            }
            kept.update(kept_by(layer))
            if layer.verdict is None:
                del kept["verdict"]  # another pass may leave one, which nobody has read yet
            self._after.append(kept)

    def is_in_place(self) -> bool:
        """Whether the blobs still live where they did."""
        return all(
            blob.data_storage is data and blob.diff_storage is diff
            for blob, data, diff in self._blobs
        )

    def fits(self) -> bool:
        """Whether the blobs still live where they did, and layers hold the state that it reads and
        draw from the generators that it has registered."""
        if not self.is_in_place():
            return False
        generators = generators_of(self._layers)
        if len(generators) != len(self._generators):
            return False
        if any(a is not b for a, b in zip(generators, self._generators)):
            return False
        for layer, kept in zip(self._layers, self._before):
            state = vars(layer)
            if any(state.get(name) is not value for name, value in kept.items()):
                return False
        return all(
            isinstance(d.value, torch.Tensor) or d.storage.version() == d.version
            for d in self._derived
        )

    def run(self) -> Any:
        """Replay for the blobs as they are now; the pass's result."""
        for storage, shape, tensor in self._reads:
            newest = storage.newest(shape)
            if newest.data_ptr() != tensor.data_ptr():
                tensor.copy_(newest)
                storage.relayout(tensor)
        for i, (storage, key, make, value, version) in enumerate(self._derived):
            now = storage.version()
            if now is None or now != version:
                value.copy_(make())
                storage.renew(key, value)
                self._derived[i] = self._derived[i]._replace(version=storage.version())
        return self.first_run()

    def first_run(self) -> Any:
        """Replay right after the capture: what it reads is in place, but storages that it reads and
        then writes already stand for the result."""
        self._graph.replay()
        for storage, tensor, promised in self._writes:
            if promised is not None:
                storage.defer(promised)
            else:
                storage.adopt(tensor)
        for layer, kept in zip(self._layers, self._after):
            vars(layer).update(kept)
        return self._result.clone() if isinstance(self._result, torch.Tensor) else self._result
