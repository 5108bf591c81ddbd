"""Where the maps of a program lie: in one arena, by how long each is needed.

Maps that are never needed at the same time share memory.  The bottoms of a concatenation along the
channels are computed right into its map, as slices, and the tops of a Slice are slices of its
bottom: no copies.  An operation that works element by element writes over its bottom where that is
its last reader.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from caffe.native.program import Map

__all__ = ["Arena", "Size", "Use", "place"]

_ALIGNMENT = 16  # numbers: 64 bytes
_FOREVER = 1 << 30

COMPUTE, IN_PLACE, JOIN, CUT = "compute", "in place", "join", "cut"

Size = tuple[int, int, int, int]  # n, h, w, c


class Use(NamedTuple):
    """What an operation reads and writes: values by number, each written once.

    ``kind`` tells how they may share memory: IN_PLACE, where the first value read may be where the
    one written is; JOIN, along the channels; CUT, along the channels; or COMPUTE, not at all.
    """

    kind: str
    reads: Sequence[int]
    writes: Sequence[int]


class Arena:
    """The memory of the values, and what has been copied to get there.

    Attributes:
        maps: value → its map.
        copies: pairs (operation, value): values that a JOIN reads and that do not lie in its map,
            or that a CUT writes and that do not lie in its.
    """

    def __init__(self, numbers: int) -> None:
        self._memory = torch.zeros(numbers + _ALIGNMENT, dtype=torch.float32, device="cpu")
        self._first = -self._memory.data_ptr() // 4 % _ALIGNMENT
        self.maps: dict[int, Map] = {}
        self.slices: dict[int, tuple[int, int]] = {}  # value → first number, pixel
        self.copies: set[tuple[int, int]] = set()

    @property
    def memory(self) -> torch.Tensor:
        """The tensor that must live as long as the maps are used."""
        return self._memory

    def view(self, value: int) -> torch.Tensor:
        """The value as a tensor of n x c x h x w in the arena."""
        m = self.maps[value]
        first, pixel = self.slices[value]
        strides = (m.h * m.w * pixel, 1, m.w * pixel, pixel)
        return self._memory.as_strided((m.n, m.c, m.h, m.w), strides, first)

    def add(self, value: int, size: Size, at: int, pixel: int) -> None:
        """Let the value lie from number ``at`` on."""
        first = self._first + at
        self.slices[value] = first, pixel
        self.maps[value] = Map(self._memory.data_ptr() + 4 * first, *size, pixel)


def place(uses: Sequence[Use], sizes: dict[int, Size], kept: Iterable[int]) -> Arena:
    """An arena for the values of ``sizes``.  What is ``kept`` is never written over."""
    plan = _Plan(uses, sizes, set(kept))
    offsets, total = _pack(plan.lives, {r: math.prod(sizes[r]) for r in plan.lives})
    arena = Arena(total)
    arena.copies = plan.copies
    for value, size in sizes.items():
        root, channel = plan.home(value)
        arena.add(value, size, offsets[root] + channel, sizes[root][3])
    return arena


class _Plan:
    """Which values are slices of which, and how long each piece of memory is needed."""

    def __init__(self, uses: Sequence[Use], sizes: dict[int, Size], kept: set[int]) -> None:
        self._sizes = sizes
        self._into: dict[int, tuple[int, int]] = {}  # value → the one that it lies in, and where
        self._over: dict[int, int] = {}  # value → the operation that writes over it in place
        self.copies: set[tuple[int, int]] = set()
        self._last = dict.fromkeys(sizes, -1)
        for i, use in enumerate(uses):
            self._last.update(dict.fromkeys((*use.reads, *use.writes), i))
        self._last.update(dict.fromkeys(kept, _FOREVER))
        self._need = dict(self._last)  # of a value and of what lies in it
        # From the end, so that what a value lies in is known before the value is looked at.
        for i in reversed(range(len(uses))):
            self._share(i, uses[i])
        self.lives = self._lives(uses)

    def home(self, value: int) -> tuple[int, int]:
        """The value whose memory is the arena's, and the channel there."""
        channel = 0
        while value in self._into:
            value, more = self._into[value]
            channel += more
        return value, channel

    def _share(self, i: int, use: Use) -> None:
        if use.kind == IN_PLACE:
            x, y = use.reads[0], use.writes[0]
            same = self._sizes[x] == self._sizes[y] and x not in use.reads[1:]
            if same and x not in self._into and self._need[x] == i:
                self._lay(x, y, 0)
                self._over[x] = i
        elif use.kind in (JOIN, CUT):
            parts, whole = use.reads, use.writes[0]
            if use.kind == CUT:
                parts, whole = use.writes, use.reads[0]
            until = self._until(whole)
            channel = 0
            for value in parts:
                if value in self._into or self._need[value] > until:
                    self.copies.add((i, value))
                else:
                    self._lay(value, whole, channel)
                channel += self._sizes[value][3]

    def _lay(self, value: int, whole: int, channel: int) -> None:
        """Let a value lie in another one."""
        self._into[value] = whole, channel
        need = self._need[value]
        while value in self._into:
            value = self._into[value][0]
            self._need[value] = max(self._need[value], need)

    def _until(self, value: int) -> int:
        """The first operation that writes over the memory of a value."""
        until = self._over.get(value, _FOREVER)
        while value in self._into:
            value = self._into[value][0]
            until = min(until, self._over.get(value, _FOREVER))
        return until

    def _lives(self, uses: Sequence[Use]) -> dict[int, tuple[int, int]]:
        """Memory by its value → the first and the last operation that need it."""
        lives: dict[int, tuple[int, int]] = {}
        born = dict.fromkeys(self._sizes, -1)
        for i, use in enumerate(uses):
            born.update(dict.fromkeys(use.writes, i))
        for value in self._sizes:
            root = self.home(value)[0]
            first, last = lives.get(root, (_FOREVER, -1))
            lives[root] = min(first, born[value]), max(last, self._last[value])
        return lives


def _pack(lives: dict[int, tuple[int, int]], counts: dict[int, int]) -> tuple[dict[int, int], int]:
    """Where each piece of memory begins, and how much there is: the largest piece first, each at
    the lowest place that is free as long as it lives."""
    placed: list[tuple[int, int, int, int]] = []  # from, to, first, last
    offsets, total = {}, 0
    for root in sorted(lives, key=lambda r: (-counts[r], r)):
        first, last = lives[root]
        need = -(-counts[root] // _ALIGNMENT) * _ALIGNMENT
        at = 0
        for a, b, born, dead in sorted(placed):
            if born <= last and first <= dead and a < at + need and at < b:
                at = b
        offsets[root] = at
        placed.append((at, at + need, first, last))
        total = max(total, at + need)
    return offsets, total
