"""Any number of items through a net of a fixed batch size (``Net.forward_all`` and its kin)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe.errors import DataError

if TYPE_CHECKING:
    from caffe.net import Net

__all__ = ["cut", "forward_all", "forward_backward_all"]

Arrays = dict[str, np.ndarray]


def forward_all(net: Net, blobs: Iterable[str] | None, arrays: dict[str, Any]) -> Arrays:
    """See ``Net.forward_all``; ``arrays`` are the inputs by name, items along the first axis."""
    collected = _Rows(arrays)
    for batch in cut(net, arrays):
        collected.add(net.forward(blobs=blobs, **batch))
    return collected.all()


def forward_backward_all(
    net: Net,
    blobs: Iterable[str] | None,
    diffs: Iterable[str] | None,
    arrays: dict[str, Any],
) -> tuple[Arrays, Arrays]:
    """See ``Net.forward_backward_all``; ``arrays`` are inputs and, if wanted, diffs of outputs.

    BVLC's fails on today's Python where the one or the other is left out.
    """
    inputs = {name: arrays[name] for name in net.inputs if name in arrays}
    outputs = {name: arrays[name] for name in net.outputs if name in arrays}
    outs, grads = _Rows(inputs), _Rows(inputs)
    given = cut(net, outputs) if outputs else None
    for batch in cut(net, inputs):
        outs.add(net.forward(blobs=blobs, **batch))
        grads.add(net.backward(diffs=diffs, **(next(given) if given else {})))
    return outs.all(), grads.all()


class _Rows:
    """Results of batch after batch, without what the last batch was padded with."""

    def __init__(self, arrays: dict[str, Any]) -> None:
        self._items = len(next(iter(arrays.values()), ()))
        self._rows: dict[str, list[np.ndarray]] = {}

    def add(self, results: Arrays) -> None:
        for name, array in results.items():
            # A loss has no axis of items: one value a batch.
            self._rows.setdefault(name, []).extend(np.atleast_1d(array.copy()))

    def all(self) -> Arrays:
        return {name: np.asarray(rows)[: self._items] for name, rows in self._rows.items()}


def cut(net: Net, arrays: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Cut arrays into batches of the first blob's size; the last is padded with zeros.

    Each is the keyword arguments of a pass.
    """
    if not arrays:
        raise DataError("arrays for the net's inputs are needed; none was given")
    items = len(next(iter(arrays.values())))
    size = next(iter(net.blobs.values())).dims[0]
    for first in range(0, items, size):
        batch = {}
        for name, array in arrays.items():
            part = np.asarray(array[first : first + size])
            missing = size - len(part)
            if missing:
                padding = np.zeros((missing, *part.shape[1:]), part.dtype)
                part = np.concatenate([part, padding])
            batch[name] = part
        yield batch
