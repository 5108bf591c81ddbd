"""The forward pass of a net of which nothing but the inputs' numbers has changed since the last.

A small net's program takes less time than it takes to find out, layer by layer, that it may run.
So after a pass in which programs (compiled_step.py) ran all layers but the Input layers, the next
asks only what can have changed: the settings, the shapes and the memory of inputs and outputs, and
one flag for all weights and one for all hidden blobs (sentinel.py).  Where anything has, the pass
is an ordinary one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from caffe import kernels
from caffe.arithmetic import deterministic, precision
from caffe.net.compiled_step import CompiledStep
from caffe.net.wiring import Graph

__all__ = ["DirectPass"]


class DirectPass:
    """The whole forward pass of one net, as its programs of one kind alone."""

    def __init__(self, graph: Graph, kinds: Sequence[dict[int, CompiledStep]]) -> None:
        self._ways = [_all_but_inputs(graph, steps) for steps in kinds]
        self._steps: list[CompiledStep] = []  # the way of the last ordinary pass
        self._known = False  # whether the last ordinary pass was programs alone
        self._outside = self._inside = 0  # threads: the caller's, and those of the programs

    def learn(self) -> None:
        """Called after an ordinary pass over the whole net, with the caller's number of threads."""
        self._known = False
        for steps in self._ways:
            threads = {step.threads for step in steps}
            if len(threads) == 1 and 0 not in threads:
                self._known, self._steps = True, steps
                self._outside, (self._inside,) = torch.get_num_threads(), threads
                break

    def run(self) -> bool:
        """The pass; False where something has changed: an ordinary pass is to follow."""
        if not self._known or torch.get_num_threads() != self._outside:
            return False
        if deterministic() or precision() == "bf16" or not kernels.enabled():
            return False
        if self._inside == self._outside:
            return self._run()
        torch.set_num_threads(self._inside)
        try:
            return self._run()
        finally:
            torch.set_num_threads(self._outside)

    def _run(self) -> bool:
        for step in self._steps:
            if not step.again():
                self._known = False
                return False
        return True


def _all_but_inputs(graph: Graph, steps: dict[int, CompiledStep]) -> list[CompiledStep]:
    """The stretches in their order, if all other layers are Input layers; else none."""
    found, i = [], 0
    while i < len(graph.layers):
        step = steps.get(i)
        if step is not None:
            found.append(step)
            i = step.end
        elif graph.layers[i].type == "Input":
            i += 1
        else:
            return []
    return found
