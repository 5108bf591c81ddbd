"""The forward pass of a net of which nothing but the inputs' numbers has changed since the last.

A small net's program takes less time than it takes to find out, layer by layer, that it may run.
So after a pass in which programs (compiled_step.py) ran all layers but the Input layers, the next
asks only what can have changed: the settings, the shapes and the memory of inputs and outputs, and
one flag for all weights and one for all hidden blobs (sentinel.py).  Where anything has, the pass
is an ordinary one.

Ordinary passes of small nets keep to one thread (small_work.py).  Direct ones, where the numbers
are the same with any number of threads, find out by their times whether more are faster.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from caffe import kernels
from caffe.arithmetic import deterministic, precision
from caffe.net.compiled_step import CompiledStep
from caffe.net.faster_threads import FasterThreads
from caffe.net.wiring import Graph

__all__ = ["DirectPass"]

_MOST_CHOICES = 8  # of threads, for inputs of different shapes
_MOST_THREADS = 4  # of a small net: with more they wait for each other longer than they compute


class DirectPass:
    """The whole forward pass of one net, as its programs of one kind alone."""

    def __init__(self, graph: Graph, kinds: Sequence[dict[int, CompiledStep]]) -> None:
        self._ways = [_all_but_inputs(graph, steps) for steps in kinds]
        self._steps: list[CompiledStep] = []  # the way of the last ordinary pass
        self._known = False  # whether the last ordinary pass was programs alone
        self._precision = ""
        self._outside = self._inside = 0  # threads: the caller's, and those of the programs
        self._faster: FasterThreads | None = None
        self._choices: dict[tuple[Any, ...], FasterThreads] = {}  # by threads and shapes of inputs

    def learn(self) -> None:
        """Called after an ordinary pass over the whole net, with the caller's number of threads."""
        self._known = False
        for steps in self._ways:
            threads = {step.threads for step in steps}
            if len(threads) == 1 and 0 not in threads:
                self._known, self._steps, self._precision = True, steps, precision()
                self._outside, (self._inside,) = torch.get_num_threads(), threads
                self._choose()
                break

    def _choose(self) -> None:
        """Where more threads may be faster, go on finding it out, or begin to."""
        few, many = self._inside, min(self._outside, _MOST_THREADS)
        if few >= many or not all(step.kind.any_threads for step in self._steps):
            self._faster = None
            return
        shapes = [blob.dims for step in self._steps for blob in step.input_blobs]
        key = few, many, tuple(shapes)
        if key not in self._choices and len(self._choices) >= _MOST_CHOICES:
            self._choices.clear()
        self._faster = self._choices.setdefault(key, FasterThreads(few, many))

    def run(self) -> bool:
        """The pass; False where something has changed: an ordinary pass is to follow."""
        if not self._known or torch.get_num_threads() != self._outside:
            return False
        if deterministic() or precision() != self._precision or not kernels.enabled():
            return False
        faster = self._faster
        if faster is not None:
            start = time.perf_counter()
            done = self._run(faster.threads)
            if done:
                faster.took(time.perf_counter() - start)
            return done
        if self._inside == self._outside:
            return self._run(self._inside)
        torch.set_num_threads(self._inside)
        try:
            return self._run(self._inside)
        finally:
            torch.set_num_threads(self._outside)

    def _run(self, threads: int) -> bool:
        for step in self._steps:
            if not step.again(threads):
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
