"""Passes that the GPU repeats by itself: CUDA graphs of ranges of layers.

A training step of FCN-8s is some 300 kernel launches; at small precisions Python needs longer to
launch them than the GPU to compute them.  So once a pass over the same layers with the same shapes
has come some times, its launches are captured into a CUDA graph and replayed from then on: the
second time the pass is watched, the third time the graph is made (in TEST the fifth and sixth
time: images of many sizes do not stay).

What makes a replay equal to a pass:

* The layers between two that cannot be captured (data, Python, whatever reads the host) make one
  range.  Each range has a graph for each set of shapes, device and precision; a few are kept.
* A recorder watches the storages (storage/) in the last two passes before a replay.  What the
  range reads and did not write is copied into the graph's memory where it has moved (a new image,
  weights that a user wrote); what is derived from weights is made anew where they changed.
* Afterwards every storage that the range writes holds the graph's result, layers have the state
  that the pass gives them (masks, indices), and blobs their shapes.
* ``before_forward`` of each layer runs before a replay too: random seeds, checks of labels.

Callbacks, ``debug_info`` and passes over other ranges see ordinary passes.  ``CAFFE_GRAPHS=0`` or
``caffe.set_graphs(False)`` switches all of it off.
"""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from caffe import kernels
from caffe.arithmetic import deterministic, precision
from caffe.blob import Blob
from caffe.device import current
from caffe.errors import naming
from caffe.net.algorithms import searching
from caffe.net.recording import (
    NotCapturable,
    Recorder,
    Recording,
    generators_of,
    inner_blobs,
    kept_by,
)
from caffe.net.wiring import Graph
from caffe.storage import Storage, watched

__all__ = ["Loss", "Replay", "graphs", "set_graphs"]

Loss = torch.Tensor | np.float32  # on a device nobody waits for it

KEPT = 4  # graphs of one range, each with activations of its own
_FEWEST_LAYERS = 2
_FEWEST_TO_CUT = 4  # layers of a range whose capture failed: shorter ones run layer by layer
_LEARNED_IN_TEST = 5  # the pass that is watched: images of many sizes do not stay
_MOST_LOST = 3  # graphs of one range that blobs moved away from before it is given up
_MOST_COUNTED = 256  # shapes whose passes are counted

_capturing = threading.Lock()
_state = SimpleNamespace(on=os.environ.get("CAFFE_GRAPHS", "1") != "0")


def set_graphs(on: bool) -> None:
    """Whether passes that repeat on a GPU may be replayed from CUDA graphs (the default)."""
    _state.on = bool(on)


def graphs() -> bool:
    """What :func:`set_graphs` was given."""
    return _state.on


class _Cuda:
    """The few calls that make a graph; tests put a pretend GPU's in their place."""

    new = staticmethod(torch.cuda.CUDAGraph)
    settle = staticmethod(torch.cuda.synchronize)
    trim = staticmethod(torch.cuda.empty_cache)

    @staticmethod
    def capture(graph: Any) -> Any:
        # Other threads may read ahead and pin memory meanwhile.
        return torch.cuda.graph(graph, capture_error_mode="thread_local")


BACKENDS: dict[str, Any] = {"cuda": _Cuda}  # by device type


def _cause(error: BaseException) -> str:
    """The first line of what went wrong first: ending a broken capture raises once more."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).partition("\n")[0]


class _Range:
    """Layers ``first`` to ``last`` of a net in one direction, and the graphs made of them."""

    def __init__(self, graph: Graph, first: int, last: int, backward: bool) -> None:
        self.backward = backward
        self._net = graph
        self._indices = range(first, last + 1)
        self.layers = graph.layers[first : last + 1]
        used = [b for i in self._indices for b in (*graph.bottoms[i], *graph.tops[i])]
        # The tops of layers without bottoms (Input) have shapes that the user gives.
        made = {b for i in self._indices if graph.bottoms[i] for b in graph.tops[i]}
        self._used = [graph.blobs[b] for b in dict.fromkeys(used)]
        self._inputs = [graph.blobs[b] for b in dict.fromkeys(used) if b not in made]
        self._trains = self.layers[0].phase == 0
        self._lost = 0
        self.refused = False
        self._seen: dict[tuple[Any, ...], int] = {}
        # What a pass was seen to read; not the numbers of that pass, which may be gigabytes.
        self._reads: dict[tuple[Any, ...], list[tuple[weakref.ref[Storage], tuple[int, ...]]]] = {}
        self._recordings: OrderedDict[tuple[Any, ...], Recording] = OrderedDict()
        self._begin()

    def _begin(self) -> None:
        """Start without any graph, from the layers' parameters as they are now."""
        self._forget()
        self._params = self._present_params()
        self.blobs = self._used + self._params
        self.blobs += [blob for layer in self.layers for blob in inner_blobs(layer)]
        self._shapes: list[tuple[int, ...]] | None = None  # of all blobs in the last pass

    def _present_params(self) -> list[Blob]:
        return [blob for layer in self.layers for blob in layer.blobs]

    def _forget(self) -> None:
        """Let go of all graphs and what was learned for them."""
        self._seen.clear()
        self._reads.clear()
        self._recordings.clear()

    def _lose(self) -> None:
        """Count a graph that was made in vain; too many, and no more are made."""
        self._lost += 1
        if self._lost > _MOST_LOST:
            self.refused = True
            self._forget()

    def run(self, ordinary: Callable[[], Any], announce: Callable[[], None]) -> Any:
        """The pass, replayed or by ``ordinary()``, which runs the layers one by one.

        ``announce()`` does the host's part of a forward pass, which is not replayed.
        """
        if self._params != self._present_params():  # a user put another blob in one's place
            self._begin()
        if not self.backward and self._shapes != [b.dims for b in self.blobs]:
            self._reshape()
            self._shapes = [b.dims for b in self.blobs]
        announce()
        if self.refused:
            return ordinary()
        key = self._key()
        recording = self._recordings.get(key)
        if recording is not None:
            self._recordings.move_to_end(key)
            if recording.fits():
                return recording.run()
            del self._recordings[key]
            self._lose()
        if len(self._seen) > _MOST_COUNTED:
            self._seen.clear()
            self._reads.clear()
        count = self._seen[key] = self._seen.get(key, 0) + 1
        learned = 2 if self._trains else _LEARNED_IN_TEST
        with searching(self._trains, stays=count >= learned, captures=count > learned):
            if count < learned or self.refused:
                return ordinary()
            if count == learned:
                return self._learn(key, ordinary)
            return self._capture(key, ordinary)

    def _learn(self, key: tuple[Any, ...], ordinary: Callable[[], Any]) -> Any:
        """An ordinary pass that tells what it reads."""
        recorder = Recorder()
        with watched(recorder):
            result = ordinary()
        self._reads[key] = [(weakref.ref(r.storage), r.shape) for r in recorder.read.values()]
        return result

    def _key(self) -> tuple[Any, ...]:
        """All that decides which launches a pass makes."""
        blobs = self.blobs if self.backward else self._inputs
        key: list[Any] = [current().torch_device, precision(), deterministic(), kernels.enabled()]
        key += [b.dims for b in blobs]
        key += [b.data_storage.is_zero for b in self._inputs]
        key += [layer.variant for layer in self.layers]
        if self.backward:
            key += [b.diff_storage.is_zero for b in self.blobs]
        return tuple(key)

    def _reshape(self) -> None:
        """Give blobs and layers the shapes of this pass, as the layers' own forward passes do."""
        for i, layer in zip(self._indices, self.layers):
            with naming(layer):
                layer.reshape_blobs(self._net.bottom(i), self._net.top(i))

    def _capture(self, key: tuple[Any, ...], ordinary: Callable[[], Any]) -> Any:
        learned = [(ref(), shape) for ref, shape in self._reads.pop(key, ())]
        reads = [(storage, shape) for storage, shape in learned if storage is not None]
        recorder = Recorder({id(storage): storage.newest(shape) for storage, shape in reads})
        found = [(storage, storage.snapshot()) for storage, _ in reads]
        before = [kept_by(layer) for layer in self.layers]
        states = [dict(vars(layer)) for layer in self.layers]
        backend = BACKENDS[current().torch_device.type]
        graph = backend.new()
        for generator in generators_of(self.layers):
            graph.register_generator_state(generator)
        try:
            # One thread at a time: a capture begins with a wait for the whole device, which CUDA
            # refuses while another thread's is going on.
            with _capturing, backend.capture(graph), watched(recorder):
                result = ordinary()
        except BaseException as error:  # an interrupt too must leave nothing that never ran
            self._undo([*recorder.changed.values(), *found], states)
            with _capturing:
                backend.settle()
            if isinstance(error, NotCapturable):  # another pass than the one that was watched
                self._lose()
                return self._learn(key, ordinary)
            if not isinstance(error, RuntimeError):
                raise
            self._refuse(error)
            return ordinary()
        before = before if self.backward else []
        recording = Recording(self.layers, self.blobs, graph, recorder, result, before)
        for old in [k for k, r in self._recordings.items() if not r.is_in_place()]:
            del self._recordings[old]  # its blobs have grown: it would only hold their memory
        while len(self._recordings) >= KEPT:
            self._recordings.popitem(last=False)
        self._recordings[key] = recording
        backend.trim()  # what the ordinary passes had
        return recording.first_run()

    def _undo(
        self,
        snapshots: list[tuple[Storage, tuple[Any, ...]]],
        states: list[dict[str, Any]],
    ) -> None:
        """Forget an attempt: nothing of it has run on the GPU.  Of two snapshots of one storage the
        later in the list counts."""
        for storage, snapshot in snapshots:
            storage.rewind(snapshot)
        for layer, state in zip(self.layers, states):
            vars(layer).clear()
            vars(layer).update(state)
            layer.renew_generators()

    def _refuse(self, error: RuntimeError) -> None:
        """Make no graph of this range; name the layers if they are few (see Replay.range_at)."""
        self.refused = True
        self._forget()
        if len(self.layers) < _FEWEST_TO_CUT:
            names = " and ".join(f"'{layer.name}' ({layer.type})" for layer in self.layers)
            direction = "backward" if self.backward else "forward"
            warnings.warn(
                f"{names} run {direction} without a CUDA graph: {_cause(error)}",
                RuntimeWarning,
                stacklevel=2,
            )


class Replay:
    """The ranges of one net, in both directions."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._ranges: dict[tuple[int, int, bool], _Range | None] = {}
        self._cuts: set[tuple[int, bool]] = set()  # (layer after which a range ends, direction)

    @staticmethod
    def on() -> bool:
        """Whether passes of the calling thread may be replayed."""
        return _state.on and current().torch_device.type in BACKENDS

    def range_at(self, first: int, last: int, backward: bool = False) -> tuple[int, _Range | None]:
        """The layers from ``first`` on towards ``last`` that make one range: the index of its end
        (inclusive), and the range; None where they are too few."""
        step = -1 if backward else 1
        layers = self._graph.layers
        if not layers[first].graphable:
            return first, None
        end = first
        while end != last and layers[end + step].graphable and (end, backward) not in self._cuts:
            end += step
        lo, hi = min(first, end), max(first, end)
        key = (lo, hi, backward)
        if key not in self._ranges:
            enough = hi - lo + 1 >= _FEWEST_LAYERS
            self._ranges[key] = _Range(self._graph, lo, hi, backward) if enough else None
        found = self._ranges[key]
        if found is not None and found.refused and len(found.layers) >= _FEWEST_TO_CUT:
            # Something in it cannot be captured: the halves may, and one of them will name it.
            self._cuts.add((first + step * (len(found.layers) // 2 - 1), backward))
            del self._ranges[key]
            return self.range_at(first, last, backward)
        return end, found
