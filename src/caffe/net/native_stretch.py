"""From layers to a program of the native kernels: values, what folds into what, and memory.

Blobs that layers work on in place become one *value* for each time they are written.  Affine
layers, sums and activations become part of the operation before them where that operation is all
that reads its result: the former as factors of its weights, the rest as its finish.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import torch

from caffe.layer import Layer, Shape
from caffe.layer._affine import scale_and_shift
from caffe.native import memory
from caffe.native.memory import Arena, Size, Use
from caffe.native.program import PRELU, Act, Finish, Impossible, Program
from caffe.net.native_layers import AFFINE, ALIAS, SUM, Call, Form, size_of

__all__ = ["Node", "Stretch", "build"]


class Node(NamedTuple):
    """A layer with its form, its weights as they are to be used, and its blobs by number."""

    layer: Layer
    form: Form
    weights: list[torch.Tensor]
    bottoms: Sequence[int]
    tops: Sequence[int]


class Stretch(NamedTuple):
    """A program and where its inputs lie while it runs.

    Attributes:
        taken: the blobs that are its first slots; its outputs are the next.
        values: blob of ``taken`` → its value in the arena.
    """

    program: Program
    arena: Arena
    taken: list[int]
    values: dict[int, int]

    def input(self, blob: int) -> torch.Tensor:
        """What the last run took, N x C x H x W; the next one writes over it."""
        return self.arena.view(self.values[blob])


@dataclasses.dataclass(eq=False)
class _Operation:
    """A node between values, with what has become part of it."""

    node: Node
    reads: list[int]
    writes: list[int]
    affine: list[Node] = dataclasses.field(default_factory=list)
    other: int | None = None
    act: Act | None = None


def build(
    nodes: Sequence[Node], inputs: Sequence[int], outputs: Sequence[int], dims: dict[int, Shape]
) -> Stretch:
    """The program that computes ``outputs`` from ``inputs``, blobs of the shapes ``dims``.

    Raises Impossible where the kernels refuse an operation, or a weight is not finite.
    """
    graph = _Values(nodes, inputs, dims)
    shown = [graph.current[b] for b in outputs]
    operations = _folded(graph.operations, set(shown))
    read = {v for o in operations for v in (*o.reads, o.other)} | set(shown)
    taken = [b for b in inputs if graph.first[b] in read]
    values = {b: graph.first[b] for b in taken}
    sizes = {
        v: graph.sizes[v] for v in [*values.values(), *(w for o in operations for w in o.writes)]
    }
    uses = [Use(memory.COMPUTE, [], [v]) for v in values.values()]
    uses += [_use(operation) for operation in operations]
    uses += [Use(memory.COMPUTE, [v], []) for v in shown]
    arena = memory.place(uses, sizes, values.values())
    program = Program()
    program.keep(arena.memory)
    for slot, v in enumerate(values.values()):
        program.take(slot, arena.maps[v])
    for i, operation in enumerate(operations, len(values)):
        _add(program, arena, i, operation)
    for slot, v in enumerate(shown, len(values)):
        program.give(arena.maps[v], slot)
    return Stretch(program, arena, taken, values)


class _Values:
    """The operations of nodes between values, each of which is written once."""

    def __init__(
        self, nodes: Sequence[Node], inputs: Sequence[int], dims: dict[int, Shape]
    ) -> None:
        self._dims = dims
        self.sizes: dict[int, Size] = {}
        self.current: dict[int, int] = {}  # blob → its value now
        self.operations: list[_Operation] = []
        self.first = {b: self._new(b) for b in inputs if size_of(dims[b]) is not None}
        for node in nodes:
            reads = [self.current[node.bottoms[j]] for j in node.form.reads]
            if node.form.kind == ALIAS:
                self.current.update(dict.fromkeys(node.tops, reads[0]))
                continue
            writes = [self._new(b) for b in node.tops]
            operation = _Operation(node, reads, writes)
            if node.form.part == AFFINE:
                operation.affine.append(node)
            elif node.form.part == SUM:
                operation.other = operation.reads.pop()
            elif node.form.act is not None:
                operation.act = node.form.act(node.weights)
            self.operations.append(operation)

    def _new(self, blob: int) -> int:
        value, size = len(self.sizes), size_of(self._dims[blob])
        if size is None:
            raise Impossible(f"maps have 2 or 4 axes, got a blob of {self._dims[blob]}")
        self.sizes[value] = size
        self.current[blob] = value
        return value


# What becomes part of what -----------------------------------------------------------------------


def _folded(operations: Sequence[_Operation], shown: set[int]) -> list[_Operation]:
    """The operations that are left.  One that others become part of takes their place in the order:
    what it adds may be computed after its own bottoms."""
    readers: dict[int, int] = {}
    for operation in operations:
        for v in (*operation.reads, *([] if operation.other is None else [operation.other])):
            readers[v] = readers.get(v, 0) + 1
    makers: dict[int, _Operation] = {}
    found: list[_Operation] = []
    for operation in operations:
        before = None
        for v in _operands(operation, makers):
            alone = readers[v] == 1 and v not in shown
            if alone and _takes(makers[v], operation):
                before = makers[v]
                break
        if before is not None:
            found.remove(before)
            if operation.other is not None:
                both = [operation.reads[0], operation.other]
                both.remove(before.writes[0])
                before.other = both[0]
            before.affine += operation.affine
            before.act = operation.act or before.act
            before.writes = operation.writes
            operation = before
        found.append(operation)
        makers.update(dict.fromkeys(operation.writes, operation))
    return found


def _operands(operation: _Operation, makers: dict[int, _Operation]) -> list[int]:
    """The values whose operations it may become part of, the one computed last first."""
    if not operation.node.form.part:
        return []
    values = {
        operation.reads[0],
        operation.reads[0] if operation.other is None else operation.other,
    }
    return sorted((v for v in values if v in makers), reverse=True)


def _takes(before: _Operation, operation: _Operation) -> bool:
    """Whether ``before``'s finish can do what ``operation`` does, after what it does already."""
    form = before.node.form
    if not form.finishes or before.act is not None:
        return False
    if operation.affine:
        weighs = form.part == AFFINE or form.outputs is not None
        return before.other is None and operation.act is None and weighs
    return operation.other is None or before.other is None


def _use(operation: _Operation) -> Use:
    other = [] if operation.other is None else [operation.other]
    return Use(operation.node.form.kind, [*operation.reads, *other], operation.writes)


# Adding ------------------------------------------------------------------------------------------


def _add(program: Program, arena: Arena, i: int, operation: _Operation) -> None:
    form, maps = operation.node.form, arena.maps
    if form.kind == memory.JOIN or form.kind == memory.CUT:
        _copy(program, arena, i, operation)
        return
    out = maps[operation.writes[0]]
    weights, scale, shift = _weights(operation)
    act = operation.act or Act()
    if act.kind == PRELU and act.slopes is not None:
        act = act._replace(slopes=act.slopes.expand(out.c))
    tensors = [*weights, scale, shift, act.slopes]
    if not all(bool(t.isfinite().all()) for t in tensors if t is not None):
        raise Impossible("a weight is not finite")
    other = None if operation.other is None else maps[operation.other]
    call = Call(
        program, [maps[v] for v in operation.reads], out, weights, scale, Finish(shift, other, act)
    )
    if form.add is not None:
        form.add(call)


def _copy(program: Program, arena: Arena, i: int, operation: _Operation) -> None:
    """What does not lie in the map of a concatenation, or in that which is cut, by itself."""
    joins = operation.node.form.kind == memory.JOIN
    parts = operation.reads if joins else operation.writes
    whole = arena.maps[(operation.writes if joins else operation.reads)[0]]
    channel = 0
    for v in parts:
        part = arena.maps[v]
        if (i, v) in arena.copies:
            piece = type(part)(whole.at + 4 * channel, part.n, part.h, part.w, part.c, whole.pixel)
            program.crop(*((part, piece) if joins else (piece, part)))
        channel += part.c


def _weights(
    operation: _Operation,
) -> tuple[list[torch.Tensor], torch.Tensor | None, torch.Tensor | None]:
    """The weights of the operation's own layer with the factors in them, where it takes them so;
    else the factors; and what is added by channel, where that is not its own bias."""
    form, weights = operation.node.form, operation.node.weights
    own = form.part == ""  # else they are those of the finish
    weights = weights if own else []
    if not operation.affine:
        return weights, None, None
    scale: torch.Tensor | None = None
    shift = weights[1].double() if len(weights) > 1 else None
    for node in operation.affine:
        factor, more = scale_and_shift(node.layer, node.weights)
        if factor is not None:
            scale = factor if scale is None else scale * factor
            shift = None if shift is None else shift * factor
        if more is not None:
            shift = more if shift is None else shift + more
    if scale is not None and own:
        shape = [-1 if axis == form.outputs else 1 for axis in range(weights[0].ndim)]
        weights = [(weights[0] * scale.view(shape)).float(), *weights[1:]]
        scale = None
    return weights, scale, shift
