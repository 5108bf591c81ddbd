"""From layers to a program of the native kernels: values, what folds into what, and memory.

Blobs that layers work on in place become one *value* for each time they are written.  Affine
layers, sums and activations become part of the operation before them where that operation is all
that reads its result: the former as factors of its weights, the rest as its finish.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from caffe.kernels import fused
from caffe.layer import Layer, Shape
from caffe.layer._affine import scale_and_shift
from caffe.native import memory, parts
from caffe.native.memory import Arena, Size, Use
from caffe.native.parts import Link, Parts, Place, Rectangle
from caffe.native.program import PRELU, Act, Finish, Impossible, Program
from caffe.net.native_forms import AFFINE, ALIAS, CROP, SUM, Call, Form, size_of

__all__ = ["Frame", "Node", "Stretch", "build"]


class Node(NamedTuple):
    """A layer with its form, its weights as they are to be used, and its blobs by number."""

    layer: Layer
    form: Form
    weights: list[torch.Tensor]
    bottoms: Sequence[int]
    tops: Sequence[int]


class Frame(NamedTuple):
    """What a program copies around the part of a map that it computes; to be filled in before it
    runs, from what the node makes of any inputs.

    Attributes:
        node: which of the nodes has made the blob what the map is; later ones may work in place.
        held: the part of the blob that the map is.
        inside: what is computed, in that map.
        numbers: a row for each pixel around that.
    """

    node: int
    blob: int
    held: Rectangle
    inside: Rectangle
    numbers: torch.Tensor

    def fill(self, x: torch.Tensor) -> None:
        """From the blob, N x C x H x W."""
        rows, columns = self.held
        around = torch.ones(self.held.height, self.held.width, dtype=torch.bool)
        around[slice(*self.inside.rows), slice(*self.inside.columns)] = False
        pixels = x[0, :, slice(*rows), slice(*columns)].permute(1, 2, 0)
        self.numbers.copy_(pixels[around])


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
    crop: tuple[int, int] | None = None


def build(
    nodes: Sequence[Node],
    inputs: Sequence[int],
    outputs: Sequence[int],
    dims: dict[int, Shape],
    fill: Callable[[Sequence[Frame]], None],
) -> Stretch:
    """The program that computes ``outputs`` from ``inputs``, blobs of the shapes ``dims``.

    ``fill`` is called once, with the frames, before any memory of size is taken.  Raises Impossible
    where the kernels refuse an operation, or a weight is not finite.
    """
    graph = _Values(nodes, inputs, dims)
    shown = [graph.current[b] for b in outputs]
    operations = _folded(graph.operations, set(shown))
    read = {v for o in operations for v in (*o.reads, o.other)} | set(shown)
    taken = [b for b in inputs if graph.first[b] in read]
    values = {b: graph.first[b] for b in taken}
    held = parts.parts_of(
        [_link(operation) for operation in operations],
        {v: size[1:3] for v, size in graph.sizes.items()},
        {*values.values(), *shown},
    )
    sizes = {
        v: _size(graph.sizes[v], held.held.get(v))
        for v in [*values.values(), *(w for o in operations for w in o.writes)]
    }
    frames = _frames(operations, held, sizes, graph.origins)
    fill(list(frames.values()))
    uses = [Use(memory.COMPUTE, [], [v]) for v in values.values()]
    uses += [_use(operation) for operation in operations]
    uses += [Use(memory.COMPUTE, [v], []) for v in shown]
    arena = memory.place(uses, sizes, values.values())
    program = Program()
    program.keep(arena.memory)
    for slot, v in enumerate(values.values()):
        program.take(slot, arena.maps[v])
    for i, operation in enumerate(operations):
        _add(program, arena, i + len(values), operation, held.places.get(i))
        for v in operation.writes:
            if v in frames:
                program.frame(arena.maps[v], frames[v].inside, frames[v].numbers)
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
        self.origins: dict[int, tuple[int, int]] = {}  # value → the node that makes it, its blob
        self.first = {b: self._new(b) for b in inputs if size_of(dims[b]) is not None}
        for i, node in enumerate(nodes):
            reads = [self.current[node.bottoms[j]] for j in node.form.reads]
            if node.form.kind == ALIAS:
                self.current.update(dict.fromkeys(node.tops, reads[0]))
                continue
            writes = [self._new(b) for b in node.tops]
            self.origins.update((v, (i, b)) for v, b in zip(writes, node.tops))
            operation = _Operation(node, reads, writes)
            if node.form.part == AFFINE:
                operation.affine.append(node)
            elif node.form.part == CROP and node.form.moves is not None:
                top, left = node.form.moves.pad
                operation.crop = -top, -left
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
            before.crop = operation.crop or before.crop
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
    if operation.crop is not None:
        return form.crops and before.other is None and before.crop is None
    if not form.finishes or before.act is not None:
        return False
    if operation.affine:
        weighs = form.part == AFFINE or form.outputs is not None
        return before.other is None and operation.act is None and weighs
    return operation.other is None or before.other is None


def _use(operation: _Operation) -> Use:
    other = [] if operation.other is None else [operation.other]
    return Use(operation.node.form.kind, [*operation.reads, *other], operation.writes)


# Parts -------------------------------------------------------------------------------------------


def _link(operation: _Operation) -> Link:
    use, moves = _use(operation), operation.node.form.moves
    if operation.other is not None:
        moves = None
    return Link(use.reads, use.writes, moves, operation.node.form.partly)


def _size(size: Size, held: Rectangle | None) -> Size:
    return size if held is None else (size[0], held.height, held.width, size[3])


def _frames(
    operations: Sequence[_Operation],
    held: Parts,
    sizes: dict[int, Size],
    origins: dict[int, tuple[int, int]],
) -> dict[int, Frame]:
    """The frames of what the operations write, by its value."""
    found = {}
    for v in (v for operation in operations for v in operation.writes):
        if v in held.framed:
            _, height, width, channels = sizes[v]
            inside = held.framed[v].seen_from(held.held[v])
            numbers = torch.zeros(height * width - inside.area, channels)
            found[v] = Frame(*origins[v], held.held[v], inside, numbers)
    return found


# Adding ------------------------------------------------------------------------------------------


def _add(
    program: Program, arena: Arena, i: int, operation: _Operation, place: Place | None
) -> None:
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
    if not all(fused.finite(t) for t in tensors if t is not None):
        raise Impossible("a weight is not finite")
    other = None if operation.other is None else maps[operation.other]
    xs = [maps[v] for v in operation.reads]
    finish, crop = Finish(shift, other, act), operation.crop or (0, 0)
    call = Call(program, xs, out, weights, scale, finish, place, crop)
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
