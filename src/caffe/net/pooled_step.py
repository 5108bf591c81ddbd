"""Convolution, ReLU and MAX pooling as one step of training on the CPU: what lies between them is
not kept, forward or backward.

Forward, each strip of the convolution is pooled while it is in the cache.  Backward, the gradient
is mostly zeros: the pooling's own and the places of the maxima say all of it in a third of the
memory (kernels/pooling.py), and the convolution takes it strip by strip.  The blob's data and diff
are left *deferred* (storage/): they are computed when somebody asks.  What they are computed from
is *lent*, or a copy: of the weights.

Who holds an array of the blob, or has edited it or the maxima since the forward pass, gets the
layers one by one, as callbacks and passes over parts do.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import cast

import torch

from caffe import kernels
from caffe.layer import Need
from caffe.layer.convolution import Convolution
from caffe.layer.pooling import Pooling
from caffe.net.layer_step import LayerStep
from caffe.net.wiring import Graph

__all__ = ["PooledStep", "pooled_steps"]


class _Between:
    """Computes the convolution's top again."""

    def __init__(self, conv: Convolution, x: torch.Tensor, step: int) -> None:
        self._conv, self._x, self._step = conv, x, step
        self._params = [b.data_tensor().clone() for b in conv.blobs]

    def strips(self) -> Iterable[tuple[int, int, torch.Tensor]] | None:
        return self._conv.strips(self._x, self._step, self._params)

    def __call__(self) -> torch.Tensor:
        strips = [(first, end, y.clone()) for first, end, y in self.strips() or ()]
        whole = torch.cat([y for _, _, y in strips], 2)
        return whole.contiguous(memory_format=torch.channels_last)


class PooledStep:
    """Layers ``first``, a Convolution, its ReLU in place, and a Pooling of the result."""

    def __init__(self, graph: Graph, first: int) -> None:
        self.first = first
        self._graph = graph
        self._conv = cast(Convolution, graph.layers[first])
        self._pool = cast(Pooling, graph.layers[first + 2])
        self._pool.joined = True
        self._bottom, self._between = graph.bottom(first)[0], graph.top(first)[0]
        self._top = graph.top(first + 2)[0]
        self._steps = [LayerStep(graph, i) for i in range(first, first + 3)]
        self._promise: weakref.ref[_Between] | None = None
        self._state: tuple[torch.Tensor, list[int | None]] | None = None

    def release(self) -> None:
        """Called before a forward pass of the three: nobody can ask for what lay between them in
        the last one any more, so what it was to be computed from may be overwritten."""
        promise, storage = self._promise and self._promise(), self._between.data_storage
        if promise is not None and storage.promised is promise:
            storage.zero()
        self._promise = None

    def forward(self) -> bool:
        """The forward pass of the three; False, with no blob's numbers changed, where the step
        declines."""
        lender, storage = self._bottom.data_storage, self._between.data_storage
        if storage.leases or not lender.lends:
            return False
        for step in self._steps:
            step.reshape()
        shape, k = self._between.dims, self._pool.kernel[0]
        if not self._pool.takes_strips(shape):
            return False
        promise = _Between(self._conv, self._bottom.data_tensor(), k)
        strips = promise.strips()
        y = None if strips is None else self._pool.pool_strips(shape, strips)
        if y is None:
            return False
        lender.lend_to(promise)
        storage.defer(promise)
        self._promise = weakref.ref(promise)
        self._top.set_data(y)
        self._remember()
        return True

    def forward_pooling(self) -> None:
        """The forward pass of the pooling alone."""
        self._steps[-1].forward()
        self._remember()

    def _remember(self) -> None:
        """Note what the backward pass relies on."""
        self._state = None
        places = self._pool.index
        if places is not None and self._pool.plain and places.dtype is torch.int16:
            self._state = places, self._versions()

    def backward(self, last: int, needs: Sequence[Need]) -> bool:
        """The backward pass of the three; False, with nothing changed, where the step declines or
        goes beyond the layer ``last``."""
        state, diff = self._state, self._between.diff_storage
        if state is None or last > self.first or diff.leases or not kernels.enabled():
            return False
        if state[0] is not self._pool.index or state[1] != self._versions() or None in state[1]:
            return False
        if not all(self._graph.layer_needs_backward[self.first : self.first + 3]):
            return False
        g, maxima = self._top.diff_tensor(), self._top.data_tensor()
        if not (self._top.diff_storage.lend() and self._top.data_storage.lend()):
            return False
        dy = self._pool.pooled_diff(g, self._between.dims, maxima)
        diff.defer(dy.whole)
        self._conv.backward_pooled(dy, needs[self.first], self._bottom)
        return True

    def _versions(self) -> list[int | None]:
        return [b.data_storage.version() for b in (self._between, self._top)]


def pooled_steps(graph: Graph) -> dict[int, PooledStep]:
    """The steps of a net, by their Convolution and by their Pooling."""
    found: dict[int, PooledStep] = {}
    for i, layer in enumerate(graph.layers[:-2]):
        pool = graph.layers[i + 2]
        if type(layer) is not Convolution or type(pool) is not Pooling or layer.in_place:
            continue
        if layer.channel_axis != 1 or layer.spatial_axes != 2 or not pool.max:
            continue
        one = len(graph.bottoms[i]) == len(graph.tops[i]) == len(graph.tops[i + 2]) == 1
        chained = one and graph.is_relu_of(i + 1, graph.tops[i])
        chained = chained and graph.bottoms[i + 2] == graph.tops[i]
        losses = [w for k in (i, i + 2) for w in graph.loss_weights[k]]
        if chained and not any(losses) and graph.layer_needs_backward[i + 2]:
            found[i] = found[i + 2] = PooledStep(graph, i)
    return found
