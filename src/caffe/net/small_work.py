"""Small nets run on one thread: waking another takes longer than its share of the work.

Threads that wait sleep (``_waiting.py``), and an operator that two threads share waits for the
second to wake.  So passes over nets whose work is small keep to the calling thread, the first as
well: with other threads oneDNN takes another kernel, and the same pass would give other bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from caffe.errors import Error
from caffe.net.layer_step import LayerStep
from caffe.net.wiring import Graph

__all__ = ["SmallWork"]

_SMALL = 16_000_000  # multiplications of a pass
_EACH = 8  # what a number costs in a layer without weights, in multiplications


class SmallWork:
    """Knows how much a pass over a graph is, for the shapes of its inputs.

    Args:
        steps: the graph's layers, which give their tops shapes.
    """

    def __init__(self, graph: Graph, steps: Sequence[LayerStep]) -> None:
        self._graph, self._steps = graph, steps
        self._inputs = [
            graph.blobs[b]
            for bottoms, tops in zip(graph.bottoms, graph.tops)
            if not bottoms
            for b in tops
        ]
        # Whether shapes can be found before a pass: to find them, Python layers and layers that
        # read may do what a pass does once.
        self._foreseeable = all(
            layer.type == "Input" if not bottoms else layer.type != "Python"
            for layer, bottoms in zip(graph.layers, graph.bottoms)
        )
        self._shapes: list[tuple[int, ...]] = []  # for which it is small or not
        self._judge()  # a new net's blobs have their shapes
        self._entered: list[tuple[bool, int]] = []  # passes: whether known, and the threads before

    def __enter__(self) -> None:
        """Go on with as many threads as the work of a pass is worth, until :meth:`__exit__`."""
        known = self._is_known()
        before = torch.get_num_threads() if known and self._small else 1
        if before > 1:
            torch.set_num_threads(1)
        self._entered.append((known, before))

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        known, before = self._entered.pop()
        if before > 1:
            torch.set_num_threads(before)
        if not known and kind is None:
            self._judge()

    @torch.no_grad()
    def foresee(self) -> None:
        """Before a pass over all layers: judge it by the shapes that its inputs have now."""
        if not self._foreseeable or self._is_known() or torch.get_num_threads() == 1:
            return
        try:
            for step in self._steps:
                step.reshape()
        except Error:
            return  # the pass will raise it where it belongs
        self._judge()

    def _is_known(self) -> bool:
        return self._shapes == [blob.dims for blob in self._inputs]

    def _judge(self) -> None:
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
