"""Convolution, ReLU and MAX pooling backward as one step on the CPU: the gradient between them is
mostly zeros, and is not kept.

The pooling's gradient and the places of the maxima say all of it in a third of the memory
(kernels/pooling.py).  The convolution takes it strip by strip; the blob's diff is left *deferred*
(storage.py): it is computed when somebody asks.  What it is computed from is *lent*.

Who has edited the maxima or what they were taken of since the forward pass, or holds an array of
the diff, gets the layers one by one, as callbacks and passes over parts do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from caffe import kernels
from caffe.layer import Need
from caffe.layer.convolution import Convolution
from caffe.layer.pooling import Pooling
from caffe.net.layer_step import LayerStep
from caffe.net.wiring import Graph

__all__ = ["PooledStep", "pooled_steps"]


class PooledStep:
    """Layers ``first``, a Convolution, its ReLU in place, and a Pooling of the result."""

    def __init__(self, graph: Graph, first: int) -> None:
        self.first = first
        self._graph = graph
        self._conv = cast(Convolution, graph.layers[first])
        self._pool = cast(Pooling, graph.layers[first + 2])
        self._bottom, self._between = graph.bottom(first)[0], graph.top(first)[0]
        self._top = graph.top(first + 2)[0]
        self._step = LayerStep(graph, first + 2)
        self._state: tuple[torch.Tensor, list[int | None]] | None = None

    def forward(self) -> None:
        """The pooling's forward pass."""
        self._state = None
        self._step.forward()
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
    """The steps of a net, by their Pooling."""
    found = {}
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
            found[i + 2] = PooledStep(graph, i)
    return found
