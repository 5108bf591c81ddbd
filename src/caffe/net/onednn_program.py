"""Stretches of layers as programs of oneDNN's graph compiler (kernels/compiled.py)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from caffe.kernels import compiled, fused
from caffe.layer.convolution import Convolution
from caffe.layer.prelu import PReLU
from caffe.net import expressions
from caffe.net.folding import fold, group_at
from caffe.net.fused_step import prefers_winograd
from caffe.net.stretch_program import Operation, Stretch, StretchProgram, equal, run
from caffe.net.wiring import Graph

__all__ = ["OneDnnProgram"]


class OneDnnProgram(StretchProgram):
    """Compiling takes as long as 20 to 100 passes save."""

    patience = large_patience = 20
    most_work = 1e10  # with more, calls and layouts count for little
    most_weights = 1 << 25  # they are kept twice more
    products = (Convolution,)

    def __init__(self, stretch: Stretch) -> None:
        super().__init__(stretch)
        self._inputs: list[torch.Tensor] = []  # of the last pass
        self._compute: Callable[..., tuple[torch.Tensor, ...]]

    @classmethod
    def available(cls) -> bool:
        return compiled.available()

    @classmethod
    def takes(cls, graph: Graph, i: int) -> bool:
        layer, tops = graph.layers[i], graph.tops[i]
        if isinstance(layer, Convolution):
            top = graph.blobs[tops[0]].dims
            if len(top) != 4 or prefers_winograd(layer, top):
                return False
        return expressions.compiles(layer)

    def _run(self, threads: int) -> bool:
        self._ends.take()
        self._inputs = self._ends.inputs
        return self._ends.are_finite() and self._ends.give(self._compute(*self._inputs))

    def _last(self) -> dict[int, torch.Tensor]:
        return dict(zip(self._stretch.inputs, self._inputs))

    def _build(self, inputs: list[torch.Tensor]) -> bool:
        operations = self._operations()
        if operations is None:
            return False

        def compute(*given: torch.Tensor) -> tuple[torch.Tensor, ...]:
            values = run(operations, dict(zip(self._stretch.inputs, given)))
            return tuple(values[b] for b in self.outputs)

        program = compiled.compiled(compute, inputs)
        expected = [self._stretch.graph.blobs[b].data_tensor() for b in self.outputs]
        if program is None or not equal(program(*inputs), expected):
            return False
        own = {x.data_ptr() for x in inputs}
        if any(y.data_ptr() in own for y in program(*inputs)):
            return False
        self._compute = program
        return True

    def _operations(self) -> list[Operation] | None:
        """What the program computes: each convolution with what folds into it; None where a folded
        weight is not finite."""
        stretch, graph, kept = self._stretch, self._stretch.graph, self._kept
        found: list[Operation] = []
        i = stretch.first
        while i < stretch.end:
            group = group_at(graph, i)
            shown = set() if group is None else set(self.outputs) & set(group.hidden)
            if group is None or group.end > stretch.end or shown:
                found.append(self._plain[i - stretch.first])
                i += 1
                continue
            layer, bottom = graph.layers[i], graph.bottoms[i]
            top = graph.tops[group.end - 1]
            weight, bias = kept[i][0], kept[i][1] if len(kept[i]) > 1 else None
            if group.affine:
                weight, bias = fold(layer, group.affine)
            if not all(fused.finite(t) for t in (weight, bias) if t is not None):
                return None
            found.append(Operation(expressions.convolution(layer, weight, bias), bottom, top))
            if group.other is not None:
                found.append(Operation(_add, [top[0], group.other], top))
            if group.act is not None:
                slopes = None
                if isinstance(group.act, PReLU):
                    slopes = kept[group.end - 1][0].view(-1)
                act = expressions.activation(group.activation, slopes)
                found.append(Operation(act, top, top))
            i = group.end
        return found


def _add(x: torch.Tensor, other: torch.Tensor) -> list[torch.Tensor]:
    return [x + other]
