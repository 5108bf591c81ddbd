"""Wide padding, computed once for each kind of row and column.

FCN pads its input by 100 zeros.  Far from the image, and from the edge of the map, all rows of a
feature map are alike, whatever the weights are: such rows are a *run*, and so are such columns.  A
map whose runs are shortened to a few rows holds the same numbers, and a layer makes from it the
same numbers, its own runs shortened.  These functions find the runs, say by how much they can be
shortened, and convert maps and gradients.

As a function of the weights, a row of the map is the row of the short map that stands for it.  So
the gradient of the short map is that of the map, added up over the rows that each of its rows
stands for, and the gradients of the weights that follow from it are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

__all__ = ["Axis", "Index", "Operation", "Stage", "fold", "index_between", "shorten", "spread"]

Run = tuple[int, int]  # first, end


class Operation(NamedTuple):
    """A convolution or pooling along one axis; ``out`` is the size of the whole output."""

    extent: int
    stride: int
    pad: int
    out: int


class Axis(NamedTuple):
    """One axis of a map: its size, its two runs, and how many rows of each the short map lacks."""

    size: int
    runs: tuple[Run, Run]
    cut: int

    @property
    def short_size(self) -> int:
        return self.size - 2 * self.cut

    def kept(self) -> list[int]:
        """The rows that the short map has."""
        if not self.cut:
            return list(range(self.size))
        (_, b), (_, d) = self.runs
        return [*range(b - self.cut), *range(b, d - self.cut), *range(d, self.size)]

    def short_rows(self) -> list[int]:
        """For each row of the map, the one of the short map that stands for it."""
        cut, ((_, b), (_, d)) = self.cut, self.runs
        if not cut:
            return list(range(self.size))
        above = [min(i, b - cut - 1) for i in range(b)]
        below = [min(i - cut, d - 2 * cut - 1) for i in range(b, d)]
        return above + below + [i - 2 * cut for i in range(d, self.size)]


class Stage(NamedTuple):
    """Operations along one axis that share a short map: its input, and the output of each."""

    before: Axis
    after: tuple[Axis, ...]


def shorten(size: int, stages: Sequence[Sequence[Operation]]) -> list[Stage]:
    """How short the maps of each stage can be along one axis.

    The runs begin with the first operation, a convolution.  What its stage leaves out is therefore
    taken from its padding: ``before.cut`` of the first stage says how much.

    >>> first = [Operation(3, 1, 100, 698), Operation(3, 1, 1, 698), Operation(2, 2, 0, 349)]
    >>> [axis.short_size for axis in shorten(500, [first])[0].after]
    [514, 514, 257]
    """
    found: list[Stage] = []
    runs = _runs_of_padding(size, stages[0][0])
    before, most = Axis(size, ((0, 0), (size, size)), 0), None
    for operations in stages:
        after, across = [], 1
        for op in operations:
            if op is not stages[0][0]:
                runs = _through(runs[0], op), _through(runs[1], op)
            across *= op.stride
            after.append(Axis(op.out, runs, 0))
        cut = max(0, min(end - first for first, end in runs) - 1)
        if most is not None:  # each row of the short map before must stand in this one's input
            cut = min(cut, most // across)
        cut *= across
        before, left = before._replace(cut=cut), cut
        for k, op in enumerate(operations):
            left //= op.stride
            after[k] = after[k]._replace(cut=left)
        found.append(Stage(before, tuple(after)))
        before, most = after[-1]._replace(cut=0), left
    return found


def _runs_of_padding(size: int, op: Operation) -> tuple[Run, Run]:
    """The outputs of a convolution that see nothing but its padding."""
    above = max(0, (op.pad - op.extent) // op.stride + 1)
    return (0, above), (min(op.out, -(-(size + op.pad) // op.stride)), op.out)


def _through(run: Run, op: Operation) -> Run:
    """The outputs that see nothing but rows of the run."""
    first = -(-(run[0] + op.pad) // op.stride)
    return first, max(first, (run[1] - op.extent + op.pad) // op.stride + 1)


# Maps and gradients -------------------------------------------------------------------------------


class Index(NamedTuple):
    """Which row of one map each row of another is, along one axis.

    Attributes:
        rows: that, as a tensor on the device; None where the two are the same.
        first: for each row of the one map, the first of the other that it is.
        repeated: (row, first, end) where it is more than one.
    """

    rows: torch.Tensor | None
    first: torch.Tensor | None
    repeated: tuple[tuple[int, int, int], ...]


def index_between(source: Axis, target: Axis | None, device: torch.device) -> Index:
    """From the short map of ``source`` to that of ``target``, another one of the same map, or to
    the whole map."""
    rows = source.short_rows()
    if target is not None:
        rows = [rows[i] for i in target.kept()]
    if rows == list(range(source.short_size)):
        return Index(None, None, ())
    firsts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for i, row in enumerate(rows):
        firsts.setdefault(row, i)
        ends[row] = i + 1
    repeated = tuple((r, i, ends[r]) for r, i in firsts.items() if ends[r] - i > 1)
    first = [firsts[r] for r in range(source.short_size)]
    return Index(_on_device(rows, device), _on_device(first, device), repeated)


def _on_device(values: list[int], device: torch.device) -> torch.Tensor:
    """The numbers, made on the device: nothing goes up, so a CUDA graph can hold it."""
    pieces: list[list[int]] = []  # first, number, step: 0 or 1
    for value in values:
        last = pieces[-1] if pieces else None
        if last and last[1] == 1 and value - last[0] in (0, 1):
            last[1:] = [2, value - last[0]]
        elif last and last[1] > 1 and value == last[0] + last[1] * last[2]:
            last[1] += 1
        else:
            pieces.append([value, 1, 1])
    made = [
        torch.arange(first, first + number, device=device)
        if step
        else torch.full((number,), first, device=device)
        for first, number, step in pieces
    ]
    return torch.cat(made)


def spread(x: torch.Tensor, rows: Index, columns: Index) -> torch.Tensor:
    """The map (N, C, H', W') whose rows and columns are those of x (N, C, H, W)."""
    x, last = _as_it_lies(x)
    for axis, index in ((2 - last, rows), (3 - last, columns)):
        if index.rows is not None:
            x = x.index_select(axis, index.rows)
    return x.permute(0, 3, 1, 2) if last else x


def fold(g: torch.Tensor, rows: Index, columns: Index) -> torch.Tensor:
    """The gradient of x from that of ``spread(x, rows, columns)``."""
    g, last = _as_it_lies(g)
    for axis, index in ((2 - last, rows), (3 - last, columns)):
        if index.first is not None:
            d = g.index_select(axis, index.first)
            for row, first, end in index.repeated:
                others = g.narrow(axis, first + 1, end - first - 1)
                d.narrow(axis, row, 1).add_(others.sum(axis, keepdim=True))
            g = d
    return g.permute(0, 3, 1, 2) if last else g


def _as_it_lies(x: torch.Tensor) -> tuple[torch.Tensor, int]:
    """(N, H, W, C) and 1 for channels-last memory, else x and 0: a selection is laid out like the
    axes of its operand."""
    if x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
        return x.permute(0, 2, 3, 1), 1
    return x, 0
