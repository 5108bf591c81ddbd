"""Which sizes of a net may be another when its graph runs: found by giving it others.

A size of a blob is free when it changes with that of the inputs.  A layer that refuses another size
says so itself; its message is what the user gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from caffe.errors import Error
from caffe.export.feeds import readers
from caffe.net import Net

__all__ = ["KINDS", "Sizes", "probe", "second"]

KINDS = ("batch", "height", "width")

#: What is added to a size to see what depends on it: an odd number, or where a net (a decoder that
#: adds what an encoder left) takes only multiples, one that many divide.
_STEPS = {"batch": (1,), "height": (257, 256), "width": (257, 256)}


class Sizes(NamedTuple):
    """What was found.

    inputs: (input, axis) that each kind stands for.
    free: blob -> axes that change with any of the kinds that are allowed.
    same: (blob, axis) -> the kind whose size it always has.
    refused: kind -> the error of the layer that needs it fixed.
    """

    inputs: dict[str, list[tuple[str, int]]]
    free: dict[int, frozenset[int]]
    same: dict[tuple[int, int], str]
    refused: dict[str, str]


def places(net: Net) -> dict[str, list[tuple[str, int]]]:
    """The axes of the inputs that are batch, height and width.

    Height and width are axes 2 and 3 of the first input that has them, and of others as high or
    wide; the batch is axis 0 of the first input and of those as long, for sequences axis 1.
    """
    shapes = {name: tuple(net.blobs[name].dims) for name in net.inputs}
    images = [name for name in net.inputs if len(shapes[name]) == 4]
    result: dict[str, list[tuple[str, int]]] = {kind: [] for kind in KINDS}
    if not shapes:
        return result
    first = images[0] if images else net.inputs[0]
    recurrent = any(layer.type in ("LSTM", "RNN") for layer in net._graph.layers)
    for name, shape in shapes.items():
        axis = 1 if recurrent and not _is_static(net, name) else 0
        if len(shape) > axis and shape[axis] == shapes[first][1 if recurrent else 0]:
            result["batch"].append((name, axis))
        for kind, axis in (("height", 2), ("width", 3)):
            if name in images and shape[axis] == shapes[first][axis]:
                result[kind].append((name, axis))
    return result


def _is_static(net: Net, name: str) -> bool:
    """True for the bottom of a recurrent layer that enters every step, N first."""
    return any(
        layer.type in ("LSTM", "RNN") and layer.has_static and bottom == 2
        for layer, bottom in readers(net, name)
    )


def probe(net: Net, kinds: Iterable[str]) -> Sizes:
    """Give the inputs other sizes, one kind at a time, and see which blobs change."""
    inputs = places(net)
    before = [tuple(blob.dims) for blob in net._graph.blobs]
    free: list[set[int]] = [set() for _ in before]
    same: dict[tuple[int, int], str] = {}
    refused: dict[str, str] = {}
    for kind in kinds:
        if not inputs[kind]:
            refused[kind] = "no input has such an axis"
            continue
        seen: list[tuple[int, list[tuple[int, ...]]]] = []
        for step in _STEPS[kind]:
            try:
                with resized(net, [(*place, step) for place in inputs[kind]]):
                    seen.append((step, [tuple(blob.dims) for blob in net._graph.blobs]))
            except Error as error:
                refused.setdefault(kind, str(error))
        if not seen:
            continue
        refused.pop(kind, None)
        name, axis = inputs[kind][0]
        size = net.blobs[name].dims[axis]
        for b, old in enumerate(before):
            for a in range(len(old)):
                changed = [(step, new[b][a]) for step, new in seen if new[b][a] != old[a]]
                if changed:
                    free[b].add(a)
                    if old[a] == size and all(n == size + step for step, n in changed):
                        same[b, a] = kind
    return Sizes(inputs, {b: frozenset(a) for b, a in enumerate(free)}, same, refused)


class resized:
    """A context in which the inputs have other sizes: (input, axis, what is added)."""

    def __init__(self, net: Net, changes: Sequence[tuple[str, int, int]]) -> None:
        self.net, self.changes = net, changes

    def __enter__(self) -> None:
        self.before = {name: tuple(self.net.blobs[name].dims) for name in self.net.inputs}
        shapes = {name: list(shape) for name, shape in self.before.items()}
        for name, axis, step in self.changes:
            shapes[name][axis] += step
        try:
            self._set(shapes)
        except BaseException:
            self._set(self.before)
            raise

    def __exit__(self, *error: Any) -> None:
        self._set(self.before)

    def _set(self, shapes: Any) -> None:
        for name, shape in shapes.items():
            self.net.blobs[name].reshape(*shape)
        self.net.reshape()


def second(net: Net, sizes: Sizes, kinds: Sequence[str]) -> dict[str, tuple[int, ...]] | None:
    """Shapes of the inputs for a second proof: other sizes, odd ones where the net takes them."""
    for changes in _candidates(net, sizes, kinds):
        try:
            with resized(net, changes):
                return {name: tuple(net.blobs[name].dims) for name in net.inputs}
        except Error:
            continue
    return None


def _candidates(
    net: Net, sizes: Sizes, kinds: Sequence[str]
) -> Iterator[list[tuple[str, int, int]]]:
    for tall, wide in ((3 / 4, 4 / 5), (9 / 8, 5 / 4), (None, None)):
        changes = []
        for kind in kinds:
            for name, axis in sizes.inputs[kind]:
                n = net.blobs[name].dims[axis]
                share = {"batch": None, "height": tall, "width": wide}[kind]
                step = 1 if kind == "batch" else 64
                if share is not None:
                    step = (int(n * share) | 1) - n or 2
                changes.append((name, axis, step))
        yield changes
