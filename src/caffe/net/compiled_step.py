"""Runs whole stretches of an inference net as one program.

A *stretch* is a run of layers that are functions of their bottoms and weights alone
(expressions.py).  There are two kinds of programs: of the native kernels (native_program.py), and
of oneDNN's graph compiler (onednn_program.py) where those are not available or decline.  A program
is made for the shapes of its inputs once the same weights have been used in a number of passes that
depends on what making it takes, and anew where weights have changed, after twice as many passes
each time.  It is made right after a pass of the layers, and compared with what they gave.  Until
then, and wherever the step declines, the layers run as they would without it.  The results are the
same to rounding.  Where bfloat16 is asked for, a program of float32 is made as well, compared with
what the layers give in float32, and kept if it is the faster (bf16_choice.py).

Only what layers outside the stretch read is computed, and what is an output of the net.  The
storages of the other blobs know how to compute them (``Storage.defer``) from the input and the
weights of that pass, and do so when somebody asks; that blob is then an output of the next program.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch

from caffe.arithmetic import deterministic, in_float32, precision
from caffe.kernels import fused
from caffe.layer.convolution import Convolution
from caffe.net import expressions
from caffe.net.bf16_choice import Bf16Choice
from caffe.net.native_program import NativeProgram
from caffe.net.onednn_program import OneDnnProgram
from caffe.net.stretch_program import SHARING, Stretch, StretchProgram
from caffe.net.wiring import Graph

__all__ = ["KINDS", "CompiledStep", "compiled_steps", "steps_of_all_kinds"]

#: Of programs, the one to try first before the others.
KINDS: tuple[type[StretchProgram], ...] = (NativeProgram, OneDnnProgram)
_MOST_ASKED = 8  # blobs that somebody has looked at; with more there is nothing to hide
_MOST_PROGRAMS = 4  # of different shapes,
_MOST_KEPT = 1 << 25  # and weights that they keep together, packed 6 to 24 bytes each
_LEAST_PRODUCTS = 2  # with fewer there is little to gain

# The shapes of the inputs, and the threads where these matter.
Key = tuple[tuple[tuple[int, ...], ...], int]


class CompiledStep(Stretch):
    """A stretch that becomes programs of one kind."""

    def __init__(
        self, graph: Graph, first: int, end: int, kind: type[StretchProgram] = OneDnnProgram
    ) -> None:
        super().__init__(graph, first, end)
        self.kind = kind
        shown = {b for i in range(first, end) if kind.refers(graph, i) for b in graph.tops[i]}
        self.outputs = sorted({*self.outputs, *(self.roots[b] for b in shown)})
        self._convolutions = [
            (layer, graph.blobs[graph.tops[i][0]])
            for i, layer in enumerate(graph.layers[first:end], first)
            if isinstance(layer, Convolution)
        ]
        kept = sum(kind.keeps(graph, i) for i in range(first, end))
        self._most_programs = max(1, min(_MOST_PROGRAMS, _MOST_KEPT // max(kept, 1)))
        self._programs: dict[Key, StretchProgram] = {}
        self._refused: set[Key] = set()
        self._declined: dict[Key, list[int]] = {}  # with these versions of the weights
        self._seen: tuple[Key, list[int], Key | None] | None = None  # in the last pass that counted
        self._count = 0
        self._patience: dict[Key, int] = {}
        self._due: Key | None = None  # of the program to be made in this pass
        self._undecided: Key | None = None  # of this pass in bfloat16, with its threads
        self._choice = Bf16Choice()
        self._learning = False
        self._last: StretchProgram | None = None  # what computed the last pass
        self.threads = 0  # with how many; 0: no program did

    def run(self) -> bool:
        """The forward pass of the layers; False where the step declines: they run as ever."""
        if self._learning:
            return False
        self._last, self.threads, self._due, self._undecided = None, 0, None, None
        narrow = precision() == "bf16"
        if deterministic() or (narrow and not self.kind.replaces_bf16):
            return False
        threads = torch.get_num_threads()
        shapes = tuple(b.dims for b in self.input_blobs)
        key: Key = (shapes, 0 if self.kind.any_threads else threads)
        program = self._programs.get(key)
        if narrow:
            takes = self._choice.takes_program((shapes, threads))
            if takes is None:
                self._undecided, program = (shapes, threads), None
            elif not takes:
                return False
        if program is None or not program.is_current():
            self._due = key if self._is_due(key) else None
            return False
        if not program.run():
            return False
        self._last, self.threads = program, threads
        return True

    def again(self, threads: int) -> bool:
        """:meth:`run` right after a pass in which a program computed the stretch; False where
        anything but the inputs' numbers may have changed since.  With as many threads as in that
        pass, unless the kind of program takes any number."""
        return self._last is not None and self._last.again(threads)

    # When a program is made -----------------------------------------------------------------------

    @property
    def learns(self) -> bool:
        """Whether :meth:`learn` is to follow :meth:`run`, which has declined."""
        return self._due is not None or (self._undecided is not None and self._count > 0)

    def learn(self, run_layers: Callable[[], object], let_go: Callable[[], object]) -> None:
        """The pass of the layers, and a program of what they compute where it is time for one.
        ``let_go`` gives up what the layers have made of their weights."""
        due, undecided = self._due, self._undecided
        self._due = self._undecided = None
        with self._layers_compute():
            if due is not None:
                if undecided is not None:  # in bfloat16: no longer of use
                    let_go()
                with in_float32():
                    run_layers()
            elif undecided is not None:
                self._choice.time_layers(undecided, run_layers)
        if due is None:
            return
        let_go()
        program = self.kind.make(self)
        if program is None:
            if self._seen is not None:
                self._declined[due] = self._seen[1]
        elif undecided is None or self._choice.decide(undecided, program.run):
            self._programs[due] = program
        elif self._choice.takes_program(undecided) is None:  # it stopped half-way
            with self._layers_compute():
                run_layers()

    @contextlib.contextmanager
    def _layers_compute(self) -> Iterator[None]:
        self._learning = True
        try:
            yield
        finally:
            self._learning = False

    def _is_due(self, key: Key) -> bool:
        """Whether passes have repeated themselves often enough for a new program."""
        if key in self._refused or len(self.asked) > _MOST_ASKED:
            return False
        versions = [blob.data_storage.version() for blob in self.weights()]
        windows = any(layer.window is not None for layer, _ in self._convolutions)
        keeps = windows and not self.kind.keeps_borders
        work = self._work()
        if None in versions or keeps or work > self.kind.most_work:
            self._count = 0
            return False
        # Passes in another precision or with other threads say nothing of the layers' time now.
        seen = key, [v for v in versions if v is not None], self._undecided
        if self._declined.get(key) == seen[1]:
            return False
        looked_at = self._looked_at()
        if seen != self._seen or not looked_at <= self.asked:
            # This pass gives the layers their shapes, which a program is made for.
            self._seen, self._count = seen, 1
            self.asked |= looked_at
            return False
        self._count += 1
        patience = self._patience.get(key) or self.kind.patience_for(work)
        # One pass more in bfloat16, for a time of the layers that no packing is part of.
        if self._count < patience + (self._undecided is not None):
            return False
        self._count, self._patience[key] = 0, 2 * patience
        self._programs.pop(key, None)  # let go of the old before the new is made
        while len(self._programs) >= self._most_programs:
            self._programs.pop(next(iter(self._programs)))
        if not self.kind.available():
            self._refused.add(key)
            return False
        # Inputs that are not finite say nothing of the next ones.
        return all(map(fused.finite, self.copies()))

    def _work(self) -> int:
        """Multiplications of a pass, for the blobs' present shapes."""
        return sum(
            top.count * layer.blobs[0].count // layer.num_output
            for layer, top in self._convolutions
        )

    def _looked_at(self) -> set[int]:
        """The blobs that somebody has asked for since the last pass computed them."""
        graph, outputs = self.graph, set(self.outputs)
        given = {id(blob.data_storage) for blob in self.input_blobs}
        found = set()
        for b in self.made:
            storage = graph.blobs[b].data_storage
            root = self.roots[b]
            if root not in outputs and id(storage) not in given and storage.on_host:
                found.add(root)
        return found

    def asked_for(self, b: int) -> None:
        """Somebody looks at a blob that was not computed: compute it from now on."""
        self.asked.add(b)
        self._programs.clear()
        self._seen = None


# Where stretches lie ------------------------------------------------------------------------------


def steps_of_all_kinds(graph: Graph) -> list[dict[int, CompiledStep]]:
    """The stretches of a graph by their first layer, of the kind to try first before the others."""
    return [compiled_steps(graph, kind) for kind in KINDS]


def compiled_steps(
    graph: Graph, kind: type[StretchProgram] = OneDnnProgram
) -> dict[int, CompiledStep]:
    """The stretches of a graph for programs of this kind, by their first layer."""
    found: dict[int, CompiledStep] = {}
    first, weights = 0, 0
    shared: set[int] = set()  # blobs that share memory
    made: set[int] = set()  # in the stretch
    for i, layer in enumerate(graph.layers):
        fits = _fits(graph, i, kind, made, shared)
        own = kind.keeps(graph, i) if fits else 0
        if weights + own > kind.most_weights or not fits:
            _add_stretch(graph, first, i, kind, found)
            first, weights, made = i, 0, set()
            if not _fits(graph, i, kind, made, shared):
                first, own = i + 1, 0
        weights += own
        if first <= i:
            made.update(graph.tops[i])
        if isinstance(layer, SHARING):
            shared.update(graph.bottoms[i], graph.tops[i])
    _add_stretch(graph, first, len(graph.layers), kind, found)
    return found


def _add_stretch(
    graph: Graph, first: int, end: int, kind: type[StretchProgram], found: dict[int, CompiledStep]
) -> None:
    count = sum(isinstance(layer, kind.products) for layer in graph.layers[first:end])
    if count >= _LEAST_PRODUCTS:
        found[first] = CompiledStep(graph, first, end, kind)


def _fits(
    graph: Graph, i: int, kind: type[StretchProgram], made: set[int], shared: set[int]
) -> bool:
    """Whether layer ``i`` can be part of a stretch in which these blobs are made before it."""
    layer, bottoms, tops = graph.layers[i], graph.bottoms[i], graph.tops[i]
    if layer.phase == 0 or not bottoms or any(graph.loss_weights[i]):
        return False
    if graph.layer_needs_backward[i]:
        return False
    for b in set(bottoms) & set(tops):  # in place
        if b not in made or b in shared:
            return False
    if not kind.takes(graph, i):
        return False
    shapes = [graph.blobs[b].dims for b in bottoms]
    # In the place of weights, which may wait to be filled; a meta tensor would do, but the first
    # arithmetic on one makes PyTorch load its compiler, which takes longer than a small net runs.
    stand_ins = [torch.zeros(()).expand(blob.dims) for blob in layer.blobs]
    return expressions.expression(layer, shapes, stand_ins) is not None
