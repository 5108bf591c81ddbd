"""The graph while it is written: nodes, constants and names, without the package onnx.

What a layer writes is a few calls::

    @writes("AbsVal")
    def absolute(g, layer, bottoms):
        return [g.node("Abs", bottoms[0].name)]

A node's name is its layer's; where a layer needs several, the last has the layer's name and the
others ``layer/Operator``.  Tensors get their blobs' names at the end, see :meth:`Graph.name_blob`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Union

import numpy as np

from caffe.blob import Blob
from caffe.errors import Error

__all__ = ["Dim", "ExportError", "Free", "Graph", "NeedsFixed", "Node", "Size", "Value"]

#: Numbers of TensorProto.DataType.
FLOAT, INT64 = 1, 7

#: A slice to the end of an axis whose size is not known.
END = np.iinfo(np.int64).max


class ExportError(Error):
    """A net, or a layer of it, that cannot be exported; says which and why."""


class NeedsFixed(ExportError):
    """A layer that needs a fixed image size."""


class Free(NamedTuple):
    """The size of one axis of a tensor, known only when the graph runs."""

    tensor: str
    axis: int


#: A size: a number, an axis of a tensor, or the name of an int64 tensor of one element.
Size = Union[int, Free, str]


#: A size of an input or output as it is written: a number, a name, or nothing known.
Dim = Union[int, str, None]


class Value(NamedTuple):
    """A tensor that layers read: its name, its shape at the sizes of the export, and the axes
    whose size may be another when the graph runs."""

    name: str
    shape: tuple[int, ...]
    free: frozenset[int] = frozenset()


class Node(NamedTuple):
    """One operator of the graph."""

    name: str
    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


class Graph:
    """Nodes in the order in which they run, and the constants that they read."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self.inputs: list[tuple[str, Sequence[Dim]]] = []
        self.outputs: list[tuple[str, Sequence[Dim]]] = []
        self.weights: set[str] = set()  # the constants that are a layer's parameters
        self._taken: set[str] = set(reserved)  # names of tensors
        self._node_names: set[str] = set()
        self._layer = ""
        self._known: dict[Any, str] = {}  # what is asked for more than once

    # What layers call -----------------------------------------------------------------------------

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output; returns the output's name.  "" stands for an optional
        input that is left out, an attribute of None is left out."""
        return self.nodes_of(op, 1, *inputs, **attributes)[0]

    def nodes_of(self, op: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add an operator with several outputs; returns their names."""
        name = _unique(f"{self._layer}/{op}", self._node_names)
        tensors = [_unique(name, self._taken) for _ in range(outputs)]
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(Node(name, op, list(inputs), tensors, given))
        return tensors

    def constant(self, values: Any, what: str) -> str:
        """A constant of this layer: float32, or int64 for integers."""
        array = np.asarray(values)
        if array.dtype != bool:
            kind = np.int64 if np.issubdtype(array.dtype, np.integer) else np.float32
            array = array.astype(kind)
        name = _unique(f"{self._layer}/{what}", self._taken)
        self.constants[name] = array
        return name

    def number(self, value: float) -> str:
        """A float32 scalar."""
        key = ("number", float(np.float32(value)))
        if key not in self._known:
            name = _unique(f"number/{np.float32(value):g}", self._taken)
            self.constants[name] = np.array(value, np.float32)
            self._known[key] = name
        return self._known[key]

    def ints(self, values: Sequence[int]) -> str:
        """An int64 tensor of one axis: axes, starts, shapes."""
        key = ("ints", tuple(values))
        if key not in self._known:
            text = "_".join("end" if v == END else str(v) for v in values)
            name = _unique(f"ints/{text}", self._taken)
            self.constants[name] = np.array(values, np.int64).reshape(-1)
            self._known[key] = name
        return self._known[key]

    def weight(self, blob: Blob, what: str, shape: Sequence[int] | None = None) -> str:
        """A parameter blob as a constant, once for all layers that share it."""
        shape = tuple(blob.dims if shape is None else shape)
        key = (id(blob.data_storage), shape)
        if key not in self._known:
            self._known[key] = self.weight_of(blob.data_numbers().reshape(shape), what)
        return self._known[key]

    def weight_of(self, values: np.ndarray, what: str) -> str:
        """Numbers made from a parameter, as a constant that ``half`` stores in 16 bits."""
        name = _unique(f"{self._layer}.{what}", self._taken)
        self.constants[name] = np.ascontiguousarray(values, np.float32)
        self.weights.add(name)
        return name

    def as_float(self, name: str) -> str:
        """A tensor of another type as float32, which all blobs are."""
        return self.node("Cast", name, to=FLOAT)

    def as_int(self, name: str) -> str:
        """A float tensor as int64, rounded toward zero."""
        return self.node("Cast", name, to=INT64)

    # Sizes ----------------------------------------------------------------------------------------

    def size(self, value: Value, axis: int) -> Size:
        """The size of an axis: a number where it is fixed."""
        axis %= len(value.shape)
        return Free(value.name, axis) if axis in value.free else value.shape[axis]

    def sizes(self, value: Value) -> list[Size]:
        """The sizes of all axes."""
        return [self.size(value, axis) for axis in range(len(value.shape))]

    def tensor(self, size: Size) -> str:
        """A size as an int64 tensor of one element."""
        if isinstance(size, Free):
            return self._once("Gather", self._once("Shape", size.tensor), self.ints([size.axis]))
        return self.ints([size]) if isinstance(size, int) else size

    def shape(self, sizes: Sequence[Size]) -> str:
        """Sizes as one int64 tensor."""
        fixed = [n for n in sizes if isinstance(n, int)]
        if len(fixed) == len(sizes):
            return self.ints(fixed)
        if len(sizes) == 1:
            return self.tensor(sizes[0])
        return self.node("Concat", *(self.tensor(n) for n in sizes), axis=0)

    def plus(self, a: Size, b: Size) -> Size:
        """``a + b``."""
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0 or b == 0:
            return b if a == 0 else a
        return self._once("Add", self.tensor(a), self.tensor(b))

    def minus(self, a: Size, b: Size) -> Size:
        """``a - b``."""
        if isinstance(a, int) and isinstance(b, int):
            return a - b
        return a if b == 0 else self._once("Sub", self.tensor(a), self.tensor(b))

    def times(self, a: Size, b: Size) -> Size:
        """``a b``."""
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if a == 1 or b == 1:
            return b if a == 1 else a
        return self._once("Mul", self.tensor(a), self.tensor(b))

    def divide(self, a: Size, b: int) -> Size:
        """``a / b`` rounded down, for an ``a`` that is not negative."""
        if isinstance(a, int):
            return a // b
        return a if b == 1 else self._once("Div", self.tensor(a), self.tensor(b))

    def larger(self, a: Size, b: Size) -> Size:
        """The larger of two sizes."""
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        return self._once("Max", self.tensor(a), self.tensor(b))

    def reshape(self, value: Value, sizes: Sequence[Size]) -> str:
        """The tensor in another shape: fixed numbers wherever the graph can do with them."""
        target: list[Size] = []
        for i, n in enumerate(sizes):
            target.append(0 if n == Free(value.name, i) else n)
        unknown = [i for i, n in enumerate(target) if not isinstance(n, int)]
        if unknown and -1 not in target:
            target[unknown[0]] = -1
        return self.node("Reshape", value.name, self.shape(target))

    def _once(self, op: str, *inputs: str) -> str:
        key = (op, inputs)
        if key not in self._known:
            self._known[key] = self.node(op, *inputs)
        return self._known[key]

    # What the walk over the net calls -------------------------------------------------------------

    @contextlib.contextmanager
    def layer(self, name: str) -> Iterator[None]:
        """Whatever is added inside belongs to the layer; its last node gets the layer's name."""
        before, self._layer = self._layer, name
        first = len(self.nodes)
        yield
        self._layer = before
        if len(self.nodes) > first:
            self.nodes[-1] = self.nodes[-1]._replace(name=_unique(name, self._node_names))

    def rename(self, names: dict[str, str]) -> None:
        """Give tensors other names, wherever they stand."""
        for node in self.nodes:
            node.inputs[:] = [names.get(n, n) for n in node.inputs]
            node.outputs[:] = [names.get(n, n) for n in node.outputs]


def _unique(name: str, taken: set[str]) -> str:
    """The name, with a number behind it where it is taken; takes it."""
    result, number = name, 2
    while result in taken:
        result, number = f"{name}_{number}", number + 1
    taken.add(result)
    return result
