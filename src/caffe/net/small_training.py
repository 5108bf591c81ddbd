"""The passes of a small net that trains, each as one call of native kernels.

With one item LeNet's kernels take a third of a millisecond, and Python twice as long between them.
So where every layer is computed by kernels that take one structure (small_kernels.py), these are
made once, for the memory that the blobs have, and the next passes only run them.  They are the
kernels that the layers call by themselves: the numbers are the same, bit for bit.

Before each pass every blob is asked whether it still has its shape and its memory; where one has
not, or where somebody counts on the numbers in it, the pass is an ordinary one, after which the
structures are made anew.  Arrays that a user holds show the results, for they are that memory.
Settings of layers (a slope, the ignored label) are read when structures are made, and not again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch

from caffe import kernels, native
from caffe.blob import Blob
from caffe.layer import Layer, Need
from caffe.native.calls import floats
from caffe.native.in_turn import InTurn, Kernel
from caffe.native.outer import Outer, PromisedOuter
from caffe.net.layer_step import plus
from caffe.net.small_kernels import TABLE, Calls, Given
from caffe.net.wiring import Graph
from caffe.storage import Storage
from caffe.storage.many import Held, Kept, blobs_stay, keep, stay, touch

__all__ = ["SmallTraining"]

_MOST_NUMBERS = 1 << 16  # of a blob: the diffs of larger ones are let go (unread_diffs.py)
_MOST_WAITING = 64  # passes before structures are tried again
_OWN = {"forward", "backward"}  # functions that somebody has put into a layer, to see its calls


class SmallTraining:
    """The whole forward and the whole backward pass of one net."""

    def __init__(self, graph: Graph, needs: Sequence[Need]) -> None:
        self._graph, self._needs = graph, needs
        self._possible = _possible(graph, needs) and native.available()
        self._bound: _Bound | None = None
        self._waiting = self._wait = 0  # ordinary passes: left, and in all, after those of no use

    def learn(self) -> None:
        """Called after an ordinary forward and backward pass over all layers."""
        if not self._possible or not kernels.enabled():
            return
        if self._waiting:
            self._waiting -= 1
            return
        self._bound = _Bound.made(self._graph, self._needs)
        self._waiting = self._wait = min(2 * self._wait + 1, _MOST_WAITING)

    def forward(self) -> np.float32 | None:
        """The forward pass; its loss, None where the pass is to be an ordinary one."""
        bound = self._bound
        if bound is None or not kernels.enabled():
            return None
        loss = bound.forward()
        if loss is None:
            self._bound = None
        return loss

    def backward(self) -> bool:
        """The backward pass; False where it is to be an ordinary one."""
        bound = self._bound
        if bound is None or not kernels.enabled() or not bound.backward():
            return False
        self._wait = self._waiting = 0
        return True


class _Bound:
    """Both passes for the blobs as they were when this was made."""

    def __init__(self) -> None:
        self._forward = self._backward = InTurn([])
        self._blobs: list[Kept] = []  # what must be the same
        self._params: list[tuple[Any, int, Blob]] = []
        self._held: list[Held] = []
        self._written: list[Storage] = []  # by the forward pass
        self._diffs: list[Held] = []
        self._written_diffs: list[Storage] = []
        self._gradients: list[tuple[Storage, torch.Tensor]] = []  # of parameters
        self._outers: list[_OuterDiff] = []
        self._state: list[tuple[Layer, dict[str, Any]]] = []
        self._losses: list[tuple[torch.Tensor, torch.Tensor]] = []  # values and their weights
        self._weights: list[Held] = []

    @classmethod
    def made(cls, graph: Graph, needs: Sequence[Need]) -> _Bound | None:
        """None where a layer computes in another way, a blob has other memory, or two layers have a
        parameter in common: their gradients are added."""
        if _share_parameters(graph) or any(_OWN & vars(layer).keys() for layer in graph.layers):
            return None
        bound = cls()
        tensors = _Tensors()
        forward: list[Kernel] = []
        backward: list[Kernel] = []
        for i, layer in enumerate(graph.layers):
            bottom, top, need = graph.bottom(i), graph.top(i), needs[i]
            if not bottom:
                continue
            back = graph.layer_needs_backward[i]
            given = Given(
                [tensors.data(b) for b in bottom],
                [tensors.data(b) for b in top],
                [tensors.data(b) for b in layer.blobs],
                [tensors.diff(b) for b in top] if back else [torch.empty(b.dims) for b in top],
                [tensors.diff(b) if back and n else None for b, n in zip(bottom, need.bottoms)],
                [floats(b.dims) if n else None for b, n in zip(layer.blobs, need.params)],
            )
            found = TABLE[type(layer)](layer, given) if tensors.plain else None
            if found is None:
                return None
            forward.append(found.forward)
            if back and found.backward is not None:
                backward.insert(0, found.backward)
            bound._note(layer, bottom, top, given, found)
            if found.outer is not None and found.backward is not None:
                diff = _OuterDiff(bottom[0], top[0], layer, given, found.outer, found.backward.of)
                bound._outers.append(diff)
            for blob, weight in zip(top, graph.loss_weights[i]):
                if weight:
                    bound._losses.append((tensors.data(blob), tensors.diff(blob)))
                    bound._weights.append((blob.diff_storage, blob.dims, tensors.diff(blob)))
        if not tensors.plain:
            return None
        bound._forward, bound._backward = InTurn(forward), InTurn(backward)
        bound._held = list(tensors.datas.values())
        bound._diffs = list(tensors.diffs.values())
        bound._blobs = keep(tensors.blobs.values())
        return bound

    def _note(
        self,
        layer: Layer,
        bottom: list[Blob],
        top: list[Blob],
        given: Given,
        calls: Calls,
    ) -> None:
        """What the passes of a layer write, and what must stay as it is."""
        self._params += [(layer.blobs, j, b) for j, b in enumerate(layer.blobs)]
        self._written += [b.data_storage for b in top if b.data_storage not in self._written]
        wanted = [b.diff_storage for b, d in zip(bottom, given.bottom_diffs) if d is not None]
        self._written_diffs += [s for s in wanted if s not in self._written_diffs]
        for j, (blob, diff) in enumerate(zip(layer.blobs, given.param_diffs)):
            if diff is not None and (j or calls.outer is None):
                self._gradients.append((blob.diff_storage, diff))
        if calls.state:
            self._state.append((layer, calls.state))

    def forward(self) -> np.float32 | None:
        if not self._have_stayed() or not stay(self._held) or not stay(self._weights):
            return None
        ran = self._forward.run()
        touch(self._written)
        if not ran:
            return None
        for layer, state in self._state:
            vars(layer).update(state)
        total: Any = np.float32(0)
        for value, weight in self._losses:
            total = plus(total, np.float32(value.item()) * np.float32(weight.item()))
        return total

    def backward(self) -> bool:
        gradients = self._gradients
        if not all(storage.is_zero and not storage.leases for storage, _ in gradients):
            return False
        if not all(outer.prepare() for outer in self._outers):
            return False
        if not self._have_stayed() or not stay(self._held) or not stay(self._diffs):
            return False
        for layer, state in self._state:
            if any(getattr(layer, name) is not value for name, value in state.items()):
                return False
        ran = self._backward.run()
        touch(self._written_diffs)
        if not ran:
            return False
        for storage, diff in gradients:
            storage.adopt(diff)
        for outer in self._outers:
            outer.give()
        return True

    def _have_stayed(self) -> bool:
        """Whether the blobs have the same shapes and storages, the layers the same parameters."""
        return blobs_stay(self._blobs) and all(blobs[j] is blob for blobs, j, blob in self._params)


class _OuterDiff:
    """The gradient of an InnerProduct's weights for one item: left to whoever asks for it, as long
    as what it follows from can be lent."""

    def __init__(
        self, bottom: Blob, top: Blob, layer: Layer, given: Given, outer: Outer, of: Any
    ) -> None:
        self._lenders = bottom.data_storage, top.diff_storage
        self._storage = layer.blobs[0].diff_storage
        self._memory = cast(torch.Tensor, given.param_diffs[0])
        self._outer, self._structure = outer, of
        self._lent = False

    def prepare(self) -> bool:
        """Decide before the pass whether it computes the product; False where the gradient is not
        zero, or somebody holds an array of it."""
        if not self._storage.is_zero or self._storage.leases:
            return False
        self._lent = all(lender.lends for lender in self._lenders)
        self._structure.dw = None if self._lent else self._memory.data_ptr()
        return True

    def give(self) -> None:
        if not self._lent:
            self._storage.adopt(self._memory)
            return
        promise = PromisedOuter(self._outer, self._memory)
        for lender in self._lenders:
            lender.lend_to(promise)
        self._storage.defer(promise)


class _Tensors:
    """The tensors of blobs, each storage's once.

    Attributes:
        datas, diffs: (storage, shape, tensor) by the storage's identity.
        blobs: by their identity.
        plain: whether all of them are contiguous float32 numbers on the CPU in one shape.
    """

    def __init__(self) -> None:
        self.datas: dict[int, Held] = {}
        self.diffs: dict[int, Held] = {}
        self.blobs: dict[int, Blob] = {}
        self.plain = True

    def data(self, blob: Blob) -> torch.Tensor:
        self.blobs[id(blob)] = blob
        return self._tensor(blob.data_storage, blob.dims, self.datas)

    def diff(self, blob: Blob) -> torch.Tensor:
        return self._tensor(blob.diff_storage, blob.dims, self.diffs)

    def _tensor(
        self,
        storage: Storage,
        dims: tuple[int, ...],
        found: dict[int, Held],
    ) -> torch.Tensor:
        if id(storage) not in found:
            found[id(storage)] = storage, dims, storage.tensor(dims)
        _, known, tensor = found[id(storage)]
        alike = known == dims and tensor.is_contiguous() and tensor.is_cpu
        self.plain = self.plain and alike and tensor.dtype is torch.float32
        return tensor


def _possible(graph: Graph, needs: Sequence[Need]) -> bool:
    """Whether all layers are of the table, train, and have one top and parameters of their own."""
    if _share_parameters(graph) or not any(graph.layer_needs_backward):
        return False
    for i, layer in enumerate(graph.layers):
        if not graph.bottoms[i]:
            if layer.type != "Input":
                return False
            continue
        if type(layer) not in TABLE or layer.phase != 0 or len(graph.tops[i]) != 1:
            return False
        if len(graph.bottoms[i]) != (2 if layer.is_loss else 1):
            return False
        asked = [j for j in layer.no_gradient if needs[i].bottoms[j]]
        if asked or any(b.count >= _MOST_NUMBERS for b in graph.top(i)):
            return False
        if any(graph.loss_weights[i]) and not layer.is_loss:
            return False
    return True


def _share_parameters(graph: Graph) -> bool:
    """Whether two parameters have the memory of their values or of their gradients in common."""
    blobs = [b for layer in graph.layers for b in layer.blobs]
    storages = {id(s) for b in blobs for s in (b.data_storage, b.diff_storage)}
    return len(storages) < 2 * len(blobs)
