"""Runs whole stretches of an inference net as one program (kernels/compiled.py).

A *stretch* is a run of layers that are functions of their bottoms and weights alone
(expressions.py).  It is compiled for the shapes of its inputs once the same weights have been used
in :data:`PATIENCE` passes, and anew where weights have changed, after twice as many passes each
time: compiling takes as long as 20 to 100 passes save.  Until then, and wherever the step declines,
the layers run as they would without it.  The results are the same to rounding.

Only what layers outside the stretch read is computed, and what is an output of the net.  The
storages of the other blobs know how to compute them (``Storage.defer``) from the input and the
weights of that pass, and do so when somebody asks; that blob is then an output of the next program.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

import torch

from caffe.arithmetic import deterministic, precision
from caffe.blob import Blob
from caffe.errors import naming
from caffe.kernels import compiled, fused
from caffe.layer.convolution import Convolution
from caffe.layer.prelu import PReLU
from caffe.layer.split import Split
from caffe.net import expressions
from caffe.net.ends import Ends
from caffe.net.expressions import Expression
from caffe.net.folding import fold, group_at
from caffe.net.fused_step import prefers_winograd
from caffe.net.wiring import Graph
from caffe.sentinel import Sentinel
from caffe.storage import Storage

__all__ = ["CompiledStep", "compiled_steps"]

PATIENCE = 20  # passes with the same shapes and weights before the first program is made
_MOST_ASKED = 8  # blobs that somebody has looked at; with more there is nothing to hide
_MOST_PROGRAMS = 4  # of different shapes
_MOST_WEIGHTS = 1 << 25  # of a stretch: they are kept twice more
_MOST_WORK = 10**10  # multiplications: with more, calls and layouts count for little
_LEAST_CONVOLUTIONS = 2
_TOLERANCE = 1e-4  # of the largest value, of a program against its operators one by one

Key = tuple[tuple[tuple[int, ...], ...], int]  # the shapes of the inputs, and the threads


class _Operation(NamedTuple):
    """Blob indices, and the function from one to the other."""

    run: Expression
    bottoms: list[int]
    tops: list[int]


class CompiledStep:
    """Layers ``first`` to ``end - 1`` of a net for inference."""

    def __init__(self, graph: Graph, first: int, end: int) -> None:
        self.first, self.end = first, end
        self._graph = graph
        made = {b for i in range(first, end) for b in graph.tops[i]}
        read = [b for i in range(first, end) for b in graph.bottoms[i]]
        self.inputs = list(dict.fromkeys(b for b in read if b not in made))
        self._input_blobs = [graph.blobs[b] for b in self.inputs]
        outside = {b for bottoms in graph.bottoms[end:] for b in bottoms} | set(graph.outputs)
        self._roots = _roots(graph, first, end)
        self.outputs = sorted({self._roots[b] for b in made & outside} - set(self.inputs))
        self._made = sorted(made)
        self._vectors = [layer.blobs for layer in graph.layers[first:end] if layer.blobs]
        self._convolutions = [
            (layer, graph.blobs[graph.tops[i][0]])
            for i, layer in enumerate(graph.layers[first:end], first)
            if isinstance(layer, Convolution)
        ]
        self._asked: set[int] = set()
        self._programs: dict[Key, _Program] = {}
        self._refused: set[Key] = set()
        self._seen: tuple[Key, list[int]] | None = None  # in the last pass that counted
        self._count = 0
        self._patience: dict[Key, int] = {}
        self._last: _Program | None = None  # what computed the last pass
        self.threads = 0  # with how many; 0: no program did

    def run(self) -> bool:
        """The forward pass of the layers; False where the step declines: they run as ever."""
        self._last, self.threads = None, 0
        if deterministic() or precision() == "bf16":
            return False
        key: Key = (tuple(b.dims for b in self._input_blobs), torch.get_num_threads())
        program = self._programs.get(key)
        if program is None or not program.is_current():
            program = self._after_enough_passes(key)
        if program is None:
            return False
        inputs = [_copy(blob) for blob in self._input_blobs]
        if not all(fused.finite(x) for x in inputs) or not program.hide(inputs):
            return False
        found = program.compute(*inputs)
        if not all(fused.finite(y) for y in found):
            return False
        for b, y in zip(program.outputs, found):
            self._graph.blobs[b].data_storage.write(y)  # hide() has seen to the shape
        self._last, self.threads = program, key[1]
        return True

    def again(self) -> bool:
        """:meth:`run` right after a pass with as many threads in which a program computed the
        stretch; False where anything but the inputs' numbers may have changed since."""
        return self._last is not None and self._last.again()

    def _weights(self) -> list[Blob]:
        return list(chain.from_iterable(self._vectors))

    # When a program is made -----------------------------------------------------------------------

    def _after_enough_passes(self, key: Key) -> _Program | None:
        """A new program, once passes have repeated themselves often enough."""
        if key in self._refused or len(self._asked) > _MOST_ASKED:
            return None
        versions = [blob.data_storage.version() for blob in self._weights()]
        windows = any(layer.window is not None for layer, _ in self._convolutions)
        if None in versions or windows or self._work() > _MOST_WORK:
            self._count = 0
            return None
        seen = key, [v for v in versions if v is not None]
        looked_at = self._looked_at()
        if seen != self._seen or not looked_at <= self._asked:
            # This pass gives the layers their shapes, which a program is made for.
            self._seen, self._count = seen, 1
            self._asked |= looked_at
            return None
        self._count += 1
        patience = self._patience.get(key, PATIENCE)
        if self._count < patience:
            return None
        self._count, self._patience[key] = 0, 2 * patience
        self._programs.pop(key, None)  # let go of the old before the new is made
        program = _Program.make(self, key[0])
        if program is None:
            self._refused.add(key)
            return None
        while len(self._programs) >= _MOST_PROGRAMS:
            self._programs.pop(next(iter(self._programs)))
        self._programs[key] = program
        return program

    def _work(self) -> int:
        """Multiplications of a pass, for the blobs' present shapes."""
        return sum(
            top.count * layer.blobs[0].count // layer.num_output
            for layer, top in self._convolutions
        )

    def _looked_at(self) -> set[int]:
        """The blobs that somebody has asked for since the last pass computed them."""
        graph, outputs = self._graph, set(self.outputs)
        given = {id(blob.data_storage) for blob in self._input_blobs}
        found = set()
        for b in self._made:
            storage = graph.blobs[b].data_storage
            root = self._roots[b]
            if root not in outputs and id(storage) not in given and storage.on_host:
                found.add(root)
        return found

    def asked_for(self, b: int) -> None:
        """Somebody looks at a blob that was not computed: compute it from now on."""
        self._asked.add(b)
        self._programs.clear()
        self._seen = None


class _Program:
    """What a stretch computes for inputs of certain shapes with certain weights.

    Attributes:
        outputs: the blobs that :attr:`compute` gives.
    """

    def __init__(self, step: CompiledStep) -> None:
        self._step = step
        self.outputs = sorted({*step.outputs, *step._asked})
        self._weights: list[tuple[Storage, int]] = []
        # The layers' blobs, and whether any of their storages may have changed since.
        self._vectors = [list(vector) for vector in step._vectors]
        self._weights_watched: Sentinel | None = None
        self._hidden_watched: Sentinel | None = None
        self._outputs: list[tuple[Blob, tuple[int, ...]]] = []  # with their shapes
        self._sources: list[tuple[Blob, Storage]] = []  # the input blobs, with their memory
        self._ends = Ends((), ())
        self._plain: list[_Operation] = []  # layer by layer
        self._inputs: list[torch.Tensor] = []  # of the last pass
        self._values: dict[int, torch.Tensor] | None = None  # of the hidden blobs, if asked for
        self.compute: Callable[..., tuple[torch.Tensor, ...]]

    @classmethod
    def make(cls, step: CompiledStep, shapes: tuple[tuple[int, ...], ...]) -> _Program | None:
        """The program for the weights as they are; None where there can be none."""
        if not compiled.available() or not step.outputs:
            return None
        self = cls(step)
        inputs = [_copy(blob) for blob in step._input_blobs]
        operations = self._operations()
        if operations is None or not all(map(fused.finite, inputs)):
            return None

        def run(*given: torch.Tensor) -> tuple[torch.Tensor, ...]:
            values = _run(operations, dict(zip(step.inputs, given)))
            return tuple(values[b] for b in self.outputs)

        program = compiled.compiled(run, inputs)
        if program is None or not _equal(program(*inputs), run(*inputs)):
            return None
        own = {x.data_ptr() for x in inputs}
        if any(y.data_ptr() in own for y in program(*inputs)):
            return None
        self.compute = program
        return self

    def is_current(self) -> bool:
        """Whether the weights are those that the program was made with."""
        watched, vectors = self._weights_watched, self._step._vectors
        if watched is not None and watched.quiet:
            return all(map(operator.eq, vectors, self._vectors))
        weights = self._step._weights()
        if len(weights) != len(self._weights):
            return False
        watched = Sentinel(storage for storage, _ in self._weights)
        for blob, (storage, version) in zip(weights, self._weights):
            if blob.data_storage is not storage or not storage.is_still(version):
                return False
        self._vectors = [list(vector) for vector in vectors]
        self._weights_watched = watched
        return True

    def again(self) -> bool:
        """The pass, if nothing has changed since the last one but the inputs' numbers."""
        weights, hidden = self._weights_watched, self._hidden_watched
        if weights is None or hidden is None or not (weights.quiet and hidden.quiet):
            return False
        if not self._ends.have_stayed():
            return False
        if not all(map(operator.eq, self._step._vectors, self._vectors)):
            return False
        self._ends.take()
        self._inputs, self._values = self._ends.inputs, None
        return self._ends.are_finite() and self._ends.give(self.compute(*self._inputs))

    # Making it ------------------------------------------------------------------------------------

    def _operations(self) -> list[_Operation] | None:
        """What the program computes: each convolution with what folds into it; None where a layer
        has no expression, or a weight is not finite."""
        step, graph = self._step, self._step._graph
        kept: dict[int, list[torch.Tensor]] = {}  # layer -> its weights as they are now
        for i in range(step.first, step.end):
            layer = graph.layers[i]
            kept[i] = [blob.data_tensor().clone() for blob in layer.blobs]
            self._weights += [
                (blob.data_storage, blob.data_storage.version() or 0) for blob in layer.blobs
            ]
            shapes = [graph.blobs[b].dims for b in graph.bottoms[i]]
            run = expressions.expression(layer, shapes, kept[i])
            if run is None or not all(map(fused.finite, kept[i])):
                return None
            self._plain.append(_Operation(run, graph.bottoms[i], graph.tops[i]))
        found: list[_Operation] = []
        i = step.first
        while i < step.end:
            group = group_at(graph, i)
            shown = set() if group is None else set(self.outputs) & set(group.hidden)
            if group is None or group.end > step.end or shown:
                found.append(self._plain[i - step.first])
                i += 1
                continue
            layer, bottom = graph.layers[i], graph.bottoms[i]
            top = graph.tops[group.end - 1]
            weight, bias = kept[i][0], kept[i][1] if len(kept[i]) > 1 else None
            if group.affine:
                weight, bias = fold(layer, group.affine)
            if not all(fused.finite(t) for t in (weight, bias) if t is not None):
                return None
            found.append(_Operation(expressions.convolution(layer, weight, bias), bottom, top))
            if group.other is not None:
                found.append(_Operation(_add, [top[0], group.other], top))
            if group.act is not None:
                slopes = None
                if isinstance(group.act, PReLU):
                    slopes = kept[group.end - 1][0].view(-1)
                act = expressions.activation(group.activation, slopes)
                found.append(_Operation(act, top, top))
            i = group.end
        return found

    # Hidden blobs ---------------------------------------------------------------------------------

    def hide(self, inputs: list[torch.Tensor]) -> bool:
        """Let the hidden blobs be those of a pass over ``inputs``; False where one cannot be."""
        watched = self._hidden_watched
        as_left = watched is not None and watched.quiet
        for blob, dims in self._outputs:
            if blob.dims is not dims:
                as_left = False
        for blob, storage in self._sources:  # which Splits share
            if blob.data_storage is not storage:
                as_left = False
        if not as_left and not self._find_hidden():
            return False
        self._inputs, self._values = inputs, None
        return True

    def _find_hidden(self) -> bool:
        """Give all blobs their shapes and memory, and let the hidden ones wait."""
        step, graph = self._step, self._step._graph
        for i in range(step.first, step.end):
            layer = graph.layers[i]
            with naming(layer):
                layer.reshape_blobs(graph.bottom(i), graph.top(i))
                if isinstance(layer, Split):
                    layer.forward_blobs(graph.bottom(i), graph.top(i))
        seen = {id(graph.blobs[b].data_storage) for b in [*step.inputs, *self.outputs]}
        hidden: list[tuple[Storage, Callable[[], torch.Tensor]]] = []
        for b in step._made:
            storage = graph.blobs[b].data_storage
            if id(storage) not in seen:
                seen.add(id(storage))
                hidden.append((storage, functools.partial(self._reveal, step._roots[b])))
        if any(storage.leases for storage, _ in hidden):
            self._hidden_watched = None
            return False
        for storage, promise in hidden:
            storage.defer(promise)
        self._hidden_watched = Sentinel(storage for storage, _ in hidden)
        self._outputs = [(graph.blobs[b], graph.blobs[b].dims) for b in self.outputs]
        self._sources = [(blob, blob.data_storage) for blob in step._input_blobs]
        self._ends = Ends(step._input_blobs, [graph.blobs[b] for b in self.outputs])
        return True

    def _reveal(self, b: int) -> torch.Tensor:
        """The values of a hidden blob."""
        step = self._step
        if self._values is None:
            self._values = _run(self._plain, dict(zip(step.inputs, self._inputs)))
        step.asked_for(b)
        return self._values[b].clone()


def _copy(blob: Blob) -> torch.Tensor:
    return blob.data_tensor().clone(memory_format=torch.contiguous_format)


def _run(operations: Sequence[_Operation], values: dict[int, torch.Tensor]) -> dict:
    """The values of all blobs, by index."""
    for run, bottoms, tops in operations:
        values.update(zip(tops, run(*(values[b] for b in bottoms))))
    return values


def _add(x: torch.Tensor, other: torch.Tensor) -> list[torch.Tensor]:
    return [x + other]


def _equal(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> bool:
    """Whether results are the same to rounding."""
    for a, b in zip(found, expected):
        if a.shape != b.shape or not fused.finite(b):
            return False
        if float((a - b).abs().max()) > _TOLERANCE * float(b.abs().max()):
            return False
    return len(found) == len(expected)


# Where stretches lie ------------------------------------------------------------------------------


def _roots(graph: Graph, first: int, end: int) -> dict[int, int]:
    """Blob -> the blob whose memory it shares, through Splits."""
    roots: dict[int, int] = {}
    for i in range(first, end):
        for b in graph.tops[i]:
            source = graph.bottoms[i][0] if isinstance(graph.layers[i], Split) else b
            roots.setdefault(b, roots.get(source, source))
    return roots


def compiled_steps(graph: Graph) -> dict[int, CompiledStep]:
    """The stretches of a graph, by their first layer."""
    found: dict[int, CompiledStep] = {}
    first, weights = 0, 0
    split: set[int] = set()  # blobs that share memory
    made: set[int] = set()  # in the stretch
    for i, layer in enumerate(graph.layers):
        own = sum(blob.count for blob in layer.blobs)
        if weights + own > _MOST_WEIGHTS or not _fits(graph, i, made, split):
            _add_stretch(graph, first, i, found)
            first, weights, made = i, 0, set()
            if not _fits(graph, i, made, split):
                first, own = i + 1, 0
        weights += own
        if first <= i:
            made.update(graph.tops[i])
        if isinstance(layer, Split):
            split.update(graph.bottoms[i], graph.tops[i])
    _add_stretch(graph, first, len(graph.layers), found)
    return found


def _add_stretch(graph: Graph, first: int, end: int, found: dict[int, CompiledStep]) -> None:
    convolutions = sum(isinstance(layer, Convolution) for layer in graph.layers[first:end])
    if convolutions >= _LEAST_CONVOLUTIONS:
        found[first] = CompiledStep(graph, first, end)


def _fits(graph: Graph, i: int, made: set[int], split: set[int]) -> bool:
    """Whether layer ``i`` can be part of a stretch in which these blobs are made before it."""
    layer, bottoms, tops = graph.layers[i], graph.bottoms[i], graph.tops[i]
    if layer.phase == 0 or not bottoms or any(graph.loss_weights[i]):
        return False
    if graph.layer_needs_backward[i]:
        return False
    for b in set(bottoms) & set(tops):  # in place
        if b not in made or b in split:
            return False
    if isinstance(layer, Convolution):
        top = graph.blobs[tops[0]].dims
        if len(top) != 4 or prefers_winograd(layer, top):
            return False
    shapes = [graph.blobs[b].dims for b in bottoms]
    # In the place of weights, which may wait to be filled; a meta tensor would do, but the first
    # arithmetic on one makes PyTorch load its compiler, which takes longer than a small net runs.
    stand_ins = [torch.zeros(()).expand(blob.dims) for blob in layer.blobs]
    return expressions.expression(layer, shapes, stand_ins) is not None
