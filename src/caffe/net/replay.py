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

import contextlib
import os
import threading
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch

from caffe import kernels
from caffe.arithmetic import deterministic, precision
from caffe.blob import Blob
from caffe.device import current
from caffe.errors import naming
from caffe.kernels import tuning
from caffe.layer import Layer
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


class _NotCapturable(RuntimeError):
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


class _Watcher:
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
            raise _NotCapturable("a blob of another pass is read")
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


def _kept(layer: Layer) -> dict[str, Any]:
    """What a layer keeps from one pass to the next: tensors and tuples of them."""
    return {
        name: value
        for name, value in vars(layer).items()
        if isinstance(value, torch.Tensor)
        or (isinstance(value, tuple) and any(isinstance(v, torch.Tensor) for v in value))
    }


def _inner_blobs(layer: Layer) -> list[Blob]:
    """The blobs that a layer has besides its parameters (the states of a recurrent layer)."""
    lists = [v for v in vars(layer).values() if isinstance(v, list) and v is not layer.blobs]
    return [blob for values in lists for blob in values if isinstance(blob, Blob)]


def _generators(layers: Sequence[Layer]) -> list[torch.Generator]:
    return [generator for layer in layers for generator in layer.generators()]


def _cause(error: BaseException) -> str:
    """The first line of what went wrong first: ending a broken capture raises once more."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).partition("\n")[0]


class _Recording:
    """One captured graph of a range."""

    def __init__(
        self,
        owner: _Range,
        graph: Any,
        watcher: _Watcher,
        result: Any,
        before: list[dict[str, Any]],
    ) -> None:
        self._graph = graph
        self._result = result
        self._reads = list(watcher.read.values())
        self._derived = watcher.derived
        self._writes = [(s, s.held, s.promised) for s, _ in watcher.changed.values()]
        self._blobs = [_Bound(b, b.data_storage, b.diff_storage) for b in owner.blobs]
        self._before = before if owner.backward else []
        self._layers = owner.layers
        self._generators = _generators(owner.layers)
        self._after = []
        for layer in owner.layers:
            kept: dict[str, Any] = {
                name: v for name, v in vars(layer).items() if v is None or isinstance(v, bool)
            }
            kept.update(_kept(layer))
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
        generators = _generators(self._layers)
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
        self._recordings: OrderedDict[tuple[Any, ...], _Recording] = OrderedDict()
        self._begin()

    def _begin(self) -> None:
        """Start without any graph, from the layers' parameters as they are now."""
        self._forget()
        self._params = self._present_params()
        self.blobs = self._used + self._params
        self.blobs += [blob for layer in self.layers for blob in _inner_blobs(layer)]
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
        with _search(self._trains, stays=count >= learned, captures=count > learned):
            if count < learned or self.refused:
                return ordinary()
            if count == learned:
                return self._learn(key, ordinary)
            return self._capture(key, ordinary)

    def _learn(self, key: tuple[Any, ...], ordinary: Callable[[], Any]) -> Any:
        """An ordinary pass that tells what it reads."""
        watcher = _Watcher()
        with watched(watcher):
            result = ordinary()
        self._reads[key] = [(weakref.ref(r.storage), r.shape) for r in watcher.read.values()]
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
        watcher = _Watcher({id(storage): storage.newest(shape) for storage, shape in reads})
        found = [(storage, storage.snapshot()) for storage, _ in reads]
        before = [_kept(layer) for layer in self.layers]
        states = [dict(vars(layer)) for layer in self.layers]
        backend = BACKENDS[current().torch_device.type]
        graph = backend.new()
        for generator in _generators(self.layers):
            graph.register_generator_state(generator)
        try:
            # One thread at a time: a capture begins with a wait for the whole device, which CUDA
            # refuses while another thread's is going on.
            with _capturing, backend.capture(graph), watched(watcher):
                result = ordinary()
        except BaseException as error:  # an interrupt too must leave nothing that never ran
            self._undo([*watcher.changed.values(), *found], states)
            with _capturing:
                backend.settle()
            if isinstance(error, _NotCapturable):  # another pass than the one that was watched
                self._lose()
                return self._learn(key, ordinary)
            if not isinstance(error, RuntimeError):
                raise
            self._refuse(error)
            return ordinary()
        recording = _Recording(self, graph, watcher, result, before)
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


class _Switches:
    """cuDNN's switches, which are the process's: given back when the last thread is done."""

    def __init__(self) -> None:
        self._lock, self._users, self._was = threading.Lock(), 0, (False, False)

    @contextlib.contextmanager
    def lent(self) -> Iterator[Any]:
        cudnn = torch.backends.cudnn
        with self._lock:
            if not self._users:
                self._was = cudnn.benchmark, cudnn.deterministic
            self._users += 1
        try:
            yield cudnn
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    cudnn.benchmark, cudnn.deterministic = self._was


_switches = _Switches()


@contextlib.contextmanager
def _search(trains: bool, stays: bool, captures: bool) -> Iterator[None]:
    """Search for the fastest algorithms meanwhile, where the shape has come before.

    Images of many sizes bring shapes that never come again: a search would take seconds for each,
    and even cuDNN's rule of thumb 15 ms for each convolution.  So a new shape has the rule of thumb
    in TRAIN, and in TEST a product that needs no plan, where its memory allows.

    PyTorch keeps the algorithm of cuDNN that it took first for a shape, but keeps those that are
    deterministic apart from the others.  The search of a net that trains is among all, so its first
    pass asks for deterministic ones; a net that tests searches among these, which forward nearly
    all are.

    A pass that is captured takes what was found in the pass before.  PyTorch tells shapes apart by
    where their memory begins, too; what it does not know there has the rule of thumb, for a search
    waits for the device, which no graph can hold.

    In float32 cuDNN takes its rule of thumb always: the algorithms that its search prefers there
    want gigabytes of working memory (FCN-8s trained in 9.3 GB with them, in 4.4 GB without).
    """
    if deterministic():
        yield
        return
    mode = tuning.measuring() if stays else contextlib.nullcontext() if trains else tuning.passing()
    with _switches.lent() as cudnn, mode:
        if precision() != "fp32":
            cudnn.benchmark = stays and not captures
            cudnn.deterministic = trains != stays
        yield
