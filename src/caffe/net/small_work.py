"""Small nets run on one thread: waking another takes longer than its share of the work.

Threads that wait sleep (``_waiting.py``), and an operator that two threads share waits for the
second to wake.  So passes over nets whose work is small keep to the calling thread.
"""

from __future__ import annotations

import math

import torch

from caffe.net.wiring import Graph

__all__ = ["SmallWork"]

_SMALL = 16_000_000  # multiplications of a pass
_EACH = 8  # what a number costs in a layer without weights, in multiplications


class SmallWork:
    """Knows how much a pass over a graph is, for the shapes of its inputs."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._inputs = [
            graph.blobs[b]
            for bottoms, tops in zip(graph.bottoms, graph.tops)
            if not bottoms
            for b in tops
        ]
        self._shapes: list[tuple[int, ...]] | None = None  # for which it is small or not
        self._small = False
        self._entered: list[tuple[bool, int]] = []  # passes: whether known, and the threads before

    def __enter__(self) -> None:
        """Go on with as many threads as the work of a pass is worth, until :meth:`__exit__`."""
        known = self._shapes == [blob.dims for blob in self._inputs]
        before = torch.get_num_threads() if known and self._small else 1
        if before > 1:
            torch.set_num_threads(1)
        self._entered.append((known, before))

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        known, before = self._entered.pop()
        if before > 1:
            torch.set_num_threads(before)
        if not known and kind is None:
            self._small = self.work() <= _SMALL
            self._shapes = [blob.dims for blob in self._inputs]

    def work(self) -> int:
        """Multiplications of a forward pass, for the blobs' present shapes."""
        total = 0
        for i, layer in enumerate(self._graph.layers):
            numbers = sum(blob.count for blob in self._graph.top(i))
            if layer.type in ("InnerProduct", "Convolution", "Deconvolution") and layer.blobs:
                weights = layer.blobs[0].dims
                inputs = math.prod(weights) // max(1, layer.num_output)  # type: ignore[attr-defined]
                if layer.type == "Deconvolution":  # every input meets every weight of its group
                    numbers = sum(blob.count for blob in self._graph.bottom(i))
                    inputs = math.prod(weights[1:])
                total += numbers * inputs
            else:
                total += numbers * _EACH
        return total
