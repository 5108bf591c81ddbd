"""The execution plan: what a forward pass may fuse or skip without changing what anyone observes.

A Convolution and the in-place ReLU after it run as one step.  On the CPU a MAX Pooling that no
backward pass can follow leaves out its indices; and in a net for inference the part of the first
layers' outputs that depends on padding alone is computed once (kernels/window.py, plan_steps.py),
groups of layers run as one call (fused_step.py), stretches of the net as one program
(compiled_step.py), and upsampling leaves out what is cropped off (upsample_step.py).
On a GPU rows and columns that wide padding makes alike are computed once in every pass, forward and
backward (kernels/border.py, border_step.py).

What could see a difference turns it off: callbacks and ``debug_info`` (the net then asks for no
steps), a range that ends inside a step, a layer that another may run backward, weights or blobs
that a user may be writing to.  A step's output is always computed in the same blocks, so results
do not depend on what earlier passes left behind, bit for bit, but for the pass from which on a
program computes them.  (Arrays of hidden blobs that a user holds keep these in NCHW memory, in
which some sums run in another order: equal to rounding.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

from caffe import kernels
from caffe.blob import Blob
from caffe.device import current
from caffe.kernels import fused
from caffe.layer import Need
from caffe.layer.convolution import Convolution
from caffe.layer.pooling import Pooling
from caffe.net.border_step import border_steps
from caffe.net.compiled_step import steps_of_all_kinds
from caffe.net.direct_pass import DirectPass
from caffe.net.folding import group_at
from caffe.net.fused_step import FusedStep
from caffe.net.norm_step import norm_steps
from caffe.net.plan_steps import ConvolutionStep, PoolingStep, Step
from caffe.net.pooled_step import pooled_steps
from caffe.net.upsample_step import upsample_steps
from caffe.net.wiring import Graph

__all__ = ["Plan"]

_LARGE = 1 << 20  # numbers of a top that is let go before it is overwritten


class Plan:
    """The steps of one net."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._steps: dict[int, Step] = {}
        for i in range(len(graph.layers)):
            step = _step_at(graph, i)
            if step is not None:
                self._steps[i] = step
        self._chains = _chains(graph, self._steps)
        self._fused = _fused_steps(graph)
        self._upsamples = upsample_steps(graph)
        self._norms = norm_steps(graph)
        self._normed = {i: n for n in self._norms.values() for i in (n.first, n.first + 1)}
        self._norm_ends = {n.end - 1: n for n in self._norms.values()}
        self._pooled = pooled_steps(graph)
        self._borders = border_steps(graph)
        self._stretches = steps_of_all_kinds(graph)
        self.direct = DirectPass(graph, self._stretches)
        # Where a step may begin.
        kinds: tuple[Mapping[int, object], ...] = (
            *self._stretches,
            self._steps,
            self._fused,
            self._upsamples,
            self._norms,
            self._pooled,
            self._borders,
        )
        self.planned = {first for steps in kinds for first in steps}
        self._ends = self._norm_ends.keys() | self._pooled.keys()
        self._renewed = _renewed(graph)
        self._fuses = False
        self._suspects = False  # whether a layer of this pass may have given NaN
        self._on = False
        self._host = True
        self._known: tuple | None = None  # what the windows were found for

    def prepare(self, first: int = 0) -> None:
        """Called before every forward pass, from layer ``first`` on: find the windows for the
        inputs' shapes."""
        self._suspects = first > 0
        self._on = kernels.enabled()
        self._host = current().shares_host
        self._fuses = self._on and self._host and bool(self._fused) and fused.available()
        for border in self._borders.values():
            border.announce_forward()
        shapes = tuple(self._graph.blobs[b].dims for b in self._chains)
        windows = self._on and self._host
        if self._known == (windows, shapes):
            return
        self._known = (windows, shapes)
        for shape, chain in zip(shapes, self._chains.values()):
            for step in chain:
                if windows and len(shape) == 4 and min(shape) > 0:
                    step.set_window(shape)
                else:
                    step.clear_window()

    def forward_group(self, k: int, last: int, run_layers: Callable[[int, int], object]) -> int:
        """Run the step that starts at layer ``k``, if it ends by layer ``last``; the index of the
        next layer to run, ``k`` itself where there is no such step.  ``run_layers`` is what calls
        this for a range of layers."""
        if self._on and self._host:
            for stretches in self._stretches:
                stretch = stretches.get(k)
                if stretch is None or stretch.end - 1 > last:
                    continue
                if stretch.run():
                    return stretch.end
                if stretch.learns:
                    layers = functools.partial(run_layers, k, stretch.end - 1)
                    stretch.learn(layers, functools.partial(self._let_go, k, stretch.end))
                    return stretch.end
        if self._fuses:
            fused_step = self._fused.get(k)
            if fused_step is not None and fused_step.end - 1 <= last:
                if fused_step.run(self._suspects or fused_step.checks):
                    return fused_step.end
                self._suspects = True
        if self._on and self._host:
            upsample = self._upsamples.get(k)
            if upsample is not None and upsample.run(k):
                return k + 1
            norm = self._norms.get(k)
            if norm is not None and norm.end - 1 <= last and norm.run():
                return norm.end
            pooled = self._pooled.get(k)
            if pooled is not None and k != pooled.first:
                pooled.forward_pooling()
                return k + 1
            if pooled is not None and k + 2 <= last and pooled.forward():
                return k + 3
        if self._on and not self._host:
            border = self._borders.get(k)
            if border is not None and border.run(last):
                return border.end
        step = self._steps.get(k)
        if not self._on or step is None or step.end - 1 > last:
            return k
        if self._host:
            step.run()
        elif step.on_device:
            step.run_on_device()
        else:
            return k
        return step.end

    def _let_go(self, first: int, end: int) -> None:
        """Give up what these layers have made of their weights: a program is to do it its way."""
        for k in range(first, end):
            for blob in self._graph.layers[k].blobs:
                blob.data_storage.forget()
            if k in self._fused:
                self._fused[k].let_go()

    def backward_group(self, k: int, last: int, needs: Sequence[Need]) -> int:
        """Run the backward pass of the step that ends with layer ``k``, if it begins no earlier
        than ``last``; the index of the next layer to run, ``k`` itself where there is none."""
        if not (self._borders or k in self._ends) or not kernels.enabled():
            return k
        if not current().shares_host:
            for border in self._borders.values():
                if border.ends_with(k) and border.backward(last, needs):
                    return border.first - 1
            return k
        pooled = self._pooled.get(k)
        if pooled is not None and k != pooled.first:
            return pooled.first - 1 if pooled.backward(last, needs) else k
        norm = self._norm_ends.get(k)
        if norm is None or norm.first < last:
            return k
        if not all(self._graph.layer_needs_backward[norm.first : k + 1]):
            return k
        return norm.first - 1 if norm.backward(needs) else k

    def release(self, first: int, last: int) -> None:
        """Called before a forward pass from layer ``first`` to ``last`` in which nobody looks: let
        go of what it overwrites."""
        if not self._host:
            return
        for k, blob in self._renewed:
            if first <= k <= last and blob.count >= _LARGE and not blob.data_storage.leases:
                blob.data_storage.zero()
        for k, step in self._pooled.items():
            if first <= k == step.first and k + 2 <= last:
                step.release()

    def announce_backward(self) -> None:
        """Called before a backward pass that may be replayed from a CUDA graph."""
        for border in self._borders.values():
            border.announce_backward()

    def settle(self, i: int | None = None) -> None:
        """Give layer ``i``, or all, the state that steps have left out: it is to run alone."""
        for border in self._borders.values():
            border.settle(i)
        if i is None:
            for norm in self._norms.values():
                norm.settle()
        elif i in self._normed:
            self._normed[i].settle()


def _renewed(graph: Graph) -> list[tuple[int, Blob]]:
    """Layers of training whose top is new memory in every pass, large in an FCN, and that top."""
    found = []
    for i, layer in enumerate(graph.layers):
        new = layer.type in ("Crop", "Deconvolution") and graph.layer_needs_backward[i]
        if new and len(graph.tops[i]) == 1 and not layer.in_place:
            found.append((i, graph.blobs[graph.tops[i][0]]))
    return found


def _step_at(graph: Graph, i: int) -> Step | None:
    """The step that begins with layer ``i``."""
    layer = graph.layers[i]
    if any(graph.loss_weights[i]) or len(graph.bottoms[i]) != 1 or len(graph.tops[i]) != 1:
        return None
    if type(layer) is Convolution and layer.channel_axis == 1 and not layer.in_place:
        return ConvolutionStep(graph, i, i + 1 + graph.is_relu_of(i + 1, graph.tops[i]))
    if type(layer) is Pooling and layer.needs_no_index() and not graph.layer_needs_backward[i]:
        return PoolingStep(graph, i, i + 1)
    return None


def _chains(graph: Graph, steps: dict[int, Step]) -> dict[int, list[Step]]:
    """The steps that follow from an Input layer's blob through nothing but steps and Splits and
    never run backward: blob index -> steps, each after its source."""
    chains: dict[int, list[Step]] = {b: [] for b in graph.inputs}
    origin: dict[int, tuple[int, Step | None]] = {b: (b, None) for b in graph.inputs}
    skip_to = 0
    for i, layer in enumerate(graph.layers):
        bottoms, tops = graph.bottoms[i], graph.tops[i]
        if i < skip_to or layer.type == "Input":
            continue
        if layer.type == "Split" and bottoms[0] in origin:
            origin.update((b, origin[bottoms[0]]) for b in tops)
            continue
        step = steps.get(i)
        within = step is not None and bottoms[0] in origin
        if step and within and not any(graph.layer_needs_backward[i : step.end]):
            root, step.source = origin[bottoms[0]]
            chains[root].append(step)
            origin[tops[0]] = root, step
            skip_to = step.end
        else:
            for b in set(tops) & set(bottoms):  # written in place: no longer what the step left
                origin.pop(b, None)
    return {root: chain for root, chain in chains.items() if chain}


#: Layers whose tops are finite where their bottoms are.
_KEEP_FINITE = frozenset(
    (
        "ReLU",
        "ReLU6",
        "Clip",
        "Concat",
        "Split",
        "Slice",
        "Eltwise",
        "Dropout",
        "Crop",
        "Reshape",
        "Flatten",
    )
)


def _fused_steps(graph: Graph) -> dict[int, FusedStep]:
    """The groups of layers that run as one convolution (folding.py), by their first layer."""
    found: dict[int, FusedStep] = {}
    finite: set[int] = set()  # blobs, where every step has run as planned
    i = 0
    while i < len(graph.layers):
        layer, tops = graph.layers[i], graph.tops[i]
        group = group_at(graph, i)
        if group is not None:
            inputs = {*graph.bottoms[i], *(() if group.other is None else (group.other,))}
            found[i] = FusedStep(graph, group, checks=not inputs <= finite)
            i, tops = group.end, graph.tops[group.end - 1]
            finite.update(tops)
            continue
        keeps = layer.type in _KEEP_FINITE or (isinstance(layer, Pooling) and layer.max)
        if keeps and finite.issuperset(graph.bottoms[i]):
            finite.update(tops)
        else:
            finite.difference_update(tops)
        i += 1
    return found
