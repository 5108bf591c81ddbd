"""What a stretch of layers (compiled_step.py) computes, as one program with the same weights.

This is what the kinds of programs have in common: when they are current, which blobs they hide, and
what somebody who asks for a hidden blob gets.
"""

from __future__ import annotations

import functools
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import ClassVar, NamedTuple

import torch

from caffe.blob import Blob
from caffe.errors import naming
from caffe.kernels import fused
from caffe.layer import Layer
from caffe.layer.reshape import Flatten, Reshape
from caffe.layer.split import Split
from caffe.net import expressions
from caffe.net.ends import Ends
from caffe.net.expressions import Expression
from caffe.net.wiring import Graph
from caffe.sentinel import Sentinel
from caffe.storage import Storage

__all__ = ["SHARING", "Operation", "Stretch", "StretchProgram", "equal", "run"]

#: Layers whose tops share the memory of their bottom.
SHARING = (Split, Flatten, Reshape)
_LARGE_WORK = 10**9  # multiplications: to make a program of so many takes tenths of a second
_TOLERANCE = 1e-4  # of the largest value, of a program against its operators one by one


class Operation(NamedTuple):
    """Blob indices, and the function from one to the other."""

    run: Expression
    bottoms: list[int]
    tops: list[int]


class Stretch:
    """Layers ``first`` to ``end - 1`` of a net for inference.

    Attributes:
        inputs: the blobs that the layers read and do not make.
        outputs: those that they make and that layers outside read, or that are the net's outputs.
        made: all that they make.
        roots: blob → the blob whose memory it shares.
        asked: blobs that somebody has looked at: they are outputs of the next program too.
        vectors: the layers' parameters, by layer.
    """

    def __init__(self, graph: Graph, first: int, end: int) -> None:
        self.graph, self.first, self.end = graph, first, end
        made = {b for i in range(first, end) for b in graph.tops[i]}
        read = [b for i in range(first, end) for b in graph.bottoms[i]]
        self.inputs = list(dict.fromkeys(b for b in read if b not in made))
        self.input_blobs = [graph.blobs[b] for b in self.inputs]
        outside = {b for bottoms in graph.bottoms[end:] for b in bottoms} | set(graph.outputs)
        self.roots = _roots(graph, first, end)
        self.outputs = sorted({self.roots[b] for b in made & outside} - set(self.inputs))
        self.made = sorted(made)
        self.vectors = [layer.blobs for layer in graph.layers[first:end] if layer.blobs]
        self.asked: set[int] = set()

    def weights(self) -> list[Blob]:
        """The parameters of the layers, in their order."""
        return list(chain.from_iterable(self.vectors))

    def copies(self) -> list[torch.Tensor]:
        """The inputs as they are now, in memory of their own."""
        form = torch.contiguous_format
        return [
            blob.data_tensor().to(torch.float32, memory_format=form, copy=True)
            for blob in self.input_blobs
        ]

    def asked_for(self, b: int) -> None:
        """Somebody looks at a blob that was not computed."""
        self.asked.add(b)


class StretchProgram(ABC):
    """What a stretch computes for inputs of certain shapes with certain weights.

    Attributes:
        patience: the passes with the same shapes and weights until the first program is made,
        large_patience: and those where making one takes long.
        most_work: multiplications of a pass, with which the layers are faster without a program.
        most_weights: of a stretch: numbers of which a program keeps copies.
        products: the layers of which a stretch has at least two.
        replaces_bf16: whether a program, float32, may take the place of layers in bfloat16.
        any_threads: whether passes take any number of threads, with the same bits.
        keeps_borders: whether a program keeps from pass to pass what depends on padding alone.
        outputs: the blobs that it computes.
    """

    patience: ClassVar[int]
    large_patience: ClassVar[int]
    most_work: ClassVar[float]
    most_weights: ClassVar[int]
    products: ClassVar[tuple[type[Layer], ...]]
    replaces_bf16: ClassVar[bool] = False
    any_threads: ClassVar[bool] = False
    keeps_borders: ClassVar[bool] = False

    def __init__(self, stretch: Stretch) -> None:
        self._stretch = stretch
        self.outputs = sorted({*stretch.outputs, *stretch.asked})
        self._weights: list[tuple[Storage, int]] = []
        # The layers' blobs, and whether any of their storages may have changed since.
        self._vectors = [list(vector) for vector in stretch.vectors]
        self._weights_watched: Sentinel | None = None
        self._hidden_watched: Sentinel | None = None
        self._outputs: list[tuple[Blob, tuple[int, ...]]] = []  # with their shapes
        self._sources: list[tuple[Blob, Storage]] = []  # the input blobs, with their memory
        self._ends = Ends((), ())
        self._plain: list[Operation] = []  # layer by layer
        self._kept: dict[int, list[torch.Tensor]] = {}  # layer → its weights as they are now
        self._values: dict[int, torch.Tensor] | None = None  # of the hidden blobs, if asked for

    @classmethod
    def make(cls, stretch: Stretch) -> StretchProgram | None:
        """The program for the shapes and weights as they are; None where there can be none, or
        memory for it is missing.  The layers have just computed the stretch: what the program gives
        is compared with that."""
        if not stretch.outputs:
            return None
        try:
            return cls._made(stretch)
        except (MemoryError, RuntimeError) as error:
            if not lacks_memory(error):
                raise
            return None

    @classmethod
    def _made(cls, stretch: Stretch) -> StretchProgram | None:
        self = cls(stretch)
        inputs = stretch.copies()
        if not self._keep_weights() or not all(map(fused.finite, inputs)):
            return None
        return self if self._build(inputs) else None

    @classmethod
    def patience_for(cls, work: int) -> int:
        """The passes until a program is made of a stretch of so many multiplications."""
        return cls.patience if work < _LARGE_WORK else max(cls.patience, cls.large_patience)

    @classmethod
    @abstractmethod
    def available(cls) -> bool:
        """Whether programs of this kind can run in this process."""

    @classmethod
    @abstractmethod
    def takes(cls, graph: Graph, i: int) -> bool:
        """Whether layer ``i``, which has an expression, can be part of a stretch."""

    @classmethod
    def refers(cls, graph: Graph, i: int) -> bool:
        """Whether a program reads weights of layer ``i`` where the layer has them.  What the layer
        makes is then always an output: once they have changed nobody could compute it."""
        return False

    @classmethod
    def keeps(cls, graph: Graph, i: int) -> int:
        """The weights of layer ``i`` that a program keeps copies of."""
        return 0 if cls.refers(graph, i) else sum(b.count for b in graph.layers[i].blobs)

    def run(self) -> bool:
        """The forward pass of the layers; False where the program declines: they run as ever."""
        return self.hide() and self._run(torch.get_num_threads())

    def again(self, threads: int) -> bool:
        """The pass, if nothing has changed since the last one but the inputs' numbers."""
        weights, hidden = self._weights_watched, self._hidden_watched
        if weights is None or hidden is None or not (weights.quiet and hidden.quiet):
            return False
        if not self._ends.have_stayed():
            return False
        if not all(map(operator.eq, self._stretch.vectors, self._vectors)):
            return False
        self._values = None
        return self._run(threads)

    @abstractmethod
    def _run(self, threads: int) -> bool:
        """Compute the outputs from the inputs, with PyTorch's number of threads unless the kind
        takes any; False where a number is not finite."""

    @abstractmethod
    def _build(self, inputs: list[torch.Tensor]) -> bool:
        """Make the program, and try it on these inputs, of which the layers have made what is in
        the blobs; False where that is not possible or gives something else."""

    @abstractmethod
    def _last(self) -> dict[int, torch.Tensor]:
        """Blobs of the last pass from which the expressions give all others."""

    def is_current(self) -> bool:
        """Whether the weights are those that the program was made with."""
        watched, vectors = self._weights_watched, self._stretch.vectors
        if watched is not None and watched.quiet:
            return all(map(operator.eq, vectors, self._vectors))
        weights = self._stretch.weights()
        if len(weights) != len(self._weights):
            return False
        watched = Sentinel(storage for storage, _ in self._weights)
        for blob, (storage, version) in zip(weights, self._weights):
            if blob.data_storage is not storage or not storage.is_still(version):
                return False
        self._vectors = [list(vector) for vector in vectors]
        self._weights_watched = watched
        return True

    def _keep_weights(self) -> bool:
        """Keep the weights as they are, and what the layers compute with them; False where a layer
        has no expression, or a weight is not finite."""
        stretch, graph = self._stretch, self._stretch.graph
        for i in range(stretch.first, stretch.end):
            layer = graph.layers[i]
            kept = self._kept[i] = self._copies(i)
            self._weights += [
                (blob.data_storage, blob.data_storage.version() or 0) for blob in layer.blobs
            ]
            shapes = [graph.blobs[b].dims for b in graph.bottoms[i]]
            expression = expressions.expression(layer, shapes, kept)
            if expression is None or not all(map(fused.finite, kept)):
                return False
            self._plain.append(Operation(expression, graph.bottoms[i], graph.tops[i]))
        return True

    def _copies(self, i: int) -> list[torch.Tensor]:
        return [blob.data_tensor().clone() for blob in self._stretch.graph.layers[i].blobs]

    # Hidden blobs ---------------------------------------------------------------------------------

    def hide(self) -> bool:
        """Let the hidden blobs be those of the pass that begins; False where one cannot be."""
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
        self._values = None
        return True

    def _find_hidden(self) -> bool:
        """Give all blobs their shapes and memory, and let the hidden ones wait."""
        stretch, graph = self._stretch, self._stretch.graph
        for i in range(stretch.first, stretch.end):
            layer = graph.layers[i]
            with naming(layer):
                layer.reshape_blobs(graph.bottom(i), graph.top(i))
                if isinstance(layer, SHARING):
                    layer.forward_blobs(graph.bottom(i), graph.top(i))
        seen = {id(graph.blobs[b].data_storage) for b in [*stretch.inputs, *self.outputs]}
        hidden: list[tuple[Storage, Callable[[], torch.Tensor]]] = []
        for b in stretch.made:
            storage = graph.blobs[b].data_storage
            if id(storage) not in seen:
                seen.add(id(storage))
                hidden.append((storage, functools.partial(self._reveal, stretch.roots[b])))
        if any(storage.leases for storage, _ in hidden):
            self._hidden_watched = None
            return False
        for storage, promise in hidden:
            storage.defer(promise)
        self._hidden_watched = Sentinel(storage for storage, _ in hidden)
        self._outputs = [(graph.blobs[b], graph.blobs[b].dims) for b in self.outputs]
        self._sources = [(blob, blob.data_storage) for blob in stretch.input_blobs]
        self._ends = Ends(stretch.input_blobs, [graph.blobs[b] for b in self.outputs])
        return True

    def _reveal(self, b: int) -> torch.Tensor:
        """The values of a hidden blob."""
        if self._values is None:
            self._values = run(self._plain, self._last())
        self._stretch.asked_for(b)
        return self._values[b].clone(memory_format=torch.contiguous_format)


def run(
    operations: Sequence[Operation],
    values: dict[int, torch.Tensor],
    after: Callable[[int, dict[int, torch.Tensor]], None] | None = None,
    wanted: Collection[int] | None = None,
) -> dict[int, torch.Tensor]:
    """The values of all blobs, by index; those of ``wanted`` alone where that is given.  ``after``
    sees those that there are after each operation."""
    last = {b: i for i, o in enumerate(operations) for b in (*o.bottoms, *o.tops)}
    for i, (expression, bottoms, tops) in enumerate(operations):
        values.update(zip(tops, expression(*(values[b] for b in bottoms))))
        if after is not None:
            after(i, values)
        if wanted is not None:
            for b in {*bottoms, *tops}:
                if last[b] == i and b not in wanted:
                    del values[b]
    return values


def lacks_memory(error: BaseException) -> bool:
    """Whether memory was missing; PyTorch has no exception of its own for that on the CPU."""
    return isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)


def equal(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> bool:
    """Whether results are the same to rounding."""
    for a, b in zip(found, expected):
        if a.shape != b.shape or not fused.finite(b):
            return False
        if float((a - b).abs().max()) > _TOLERANCE * float(b.abs().max()):
            return False
    return len(found) == len(expected)


def _roots(graph: Graph, first: int, end: int) -> dict[int, int]:
    """Blob → the blob whose memory it shares, through Splits and the like."""
    roots: dict[int, int] = {}
    for i in range(first, end):
        for b in graph.tops[i]:
            source = graph.bottoms[i][0] if isinstance(graph.layers[i], SHARING) else b
            roots.setdefault(b, roots.get(source, source))
    return roots
