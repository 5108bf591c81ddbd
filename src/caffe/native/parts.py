"""Which part of each value a program of the native kernels computes, and which it keeps.

FCN pads its image by 100 pixels.  What the first layers make far from the image is a function of
the weights alone (kernels/window.py).  Of each of their tops a program holds only the part that is
read, a rectangle; of that it computes what depends on the inputs, and the rest, a *frame* of a few
pixels, it copies from numbers that are found once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from caffe._intervals import Interval, dependent

__all__ = ["Geometry", "Link", "Parts", "Place", "Rectangle", "parts_of"]

_WORTH = 0.95  # of the area: a value of which more is computed is computed whole


class Rectangle(NamedTuple):
    """Rows and columns of a map."""

    rows: Interval
    columns: Interval

    @property
    def height(self) -> int:
        return self.rows[1] - self.rows[0]

    @property
    def width(self) -> int:
        return self.columns[1] - self.columns[0]

    @property
    def area(self) -> int:
        return self.height * self.width

    def joined(self, other: Rectangle | None) -> Rectangle:
        """The smallest one that holds both."""
        if other is None:
            return self
        return Rectangle(*((min(a[0], b[0]), max(a[1], b[1])) for a, b in zip(self, other)))

    def seen_from(self, other: Rectangle) -> Rectangle:
        """The same in a map that begins where ``other`` does."""
        return Rectangle(*((a[0] - b[0], a[1] - b[0]) for a, b in zip(self, other)))


class Geometry(NamedTuple):
    """How a kernel moves: a pair for the rows and the columns of each."""

    extent: Sequence[int]  # with its holes
    stride: Sequence[int]
    pad: Sequence[int]

    @classmethod
    def of(cls, layer: Any) -> Geometry:
        dilation = getattr(layer, "dilation", (1, 1))
        extent = [d * (k - 1) + 1 for d, k in zip(dilation, layer.kernel)]
        return cls(extent, layer.stride, layer.pad)

    def dependent(self, inside: Rectangle, size: Sequence[int]) -> Rectangle:
        """The outputs, of ``size``, that see any of these inputs."""
        axes = zip(inside, size, self.extent, self.stride, self.pad)
        return Rectangle(*(dependent(*axis) for axis in axes))

    def read(self, outputs: Rectangle, size: Sequence[int]) -> Rectangle:
        """The inputs, of ``size``, that these outputs see."""
        axes = zip(outputs, size, self.extent, self.stride, self.pad)
        found = (
            (max(0, first * s - p), min(n, (end - 1) * s - p + k))
            for (first, end), n, k, s, p in axes
        )
        return Rectangle(*found)


class Link(NamedTuple):
    """An operation: the values that it reads and writes; with a geometry what it writes needs a
    part of what it reads, and with ``partly`` it can compute a part of it."""

    reads: Sequence[int]
    writes: Sequence[int]
    geometry: Geometry | None = None
    partly: bool = True


class Place(NamedTuple):
    """For an operation that moves over a part: its pads there (they may be negative), and what of
    the written part it has to compute."""

    pad: tuple[int, int]
    computed: Rectangle


class Parts(NamedTuple):
    """Of each value the part that is held, and of those that have a frame what lies within it; of
    each link that works on parts its place."""

    held: dict[int, Rectangle]
    framed: dict[int, Rectangle]
    places: dict[int, Place]


def parts_of(links: Sequence[Link], sizes: dict[int, tuple[int, int]], whole: set[int]) -> Parts:
    """The parts for links in their order and values of ``sizes``, height and width; the values of
    ``whole`` are held whole."""
    full = {v: Rectangle((0, h), (0, w)) for v, (h, w) in sizes.items()}
    computed = _computed(links, full)
    held = _held(links, full, computed, whole)
    framed = {v: computed[v] for v in held if held[v] != computed[v]}
    places = {}
    for i, link in enumerate(links):
        if link.geometry is None:
            continue
        (v,), read, written = link.writes, held[link.reads[0]], held[link.writes[0]]
        if read == full[link.reads[0]] and written == full[v] == computed[v]:
            continue
        axes = zip(link.geometry.pad, link.geometry.stride, read, written)
        top, left = (p + a[0] - b[0] * s for p, s, a, b in axes)
        places[i] = Place((top, left), computed[v].seen_from(written))
    return Parts(held, framed, places)


def _computed(links: Sequence[Link], full: dict[int, Rectangle]) -> dict[int, Rectangle]:
    """What depends on the inputs, where the operation can leave out the rest and that gains."""
    computed = dict(full)
    for link in links:
        if link.geometry is not None and link.partly:
            (v,), size = link.writes, (full[link.writes[0]].height, full[link.writes[0]].width)
            window = link.geometry.dependent(computed[link.reads[0]], size)
            if 0 < window.area <= _WORTH * full[v].area:
                computed[v] = window
    return computed


def _held(
    links: Sequence[Link],
    full: dict[int, Rectangle],
    computed: dict[int, Rectangle],
    whole: set[int],
) -> dict[int, Rectangle]:
    """What is computed, and what is read to compute it, from the last link to the first."""
    held = {v: full[v] for v in whole}
    for link in reversed(links):
        if link.geometry is None:
            for v in (*link.writes, *link.reads):
                held[v] = full[v]
            continue
        (v,), x = link.writes, link.reads[0]
        held[v] = computed[v].joined(held.get(v))
        need = link.geometry.read(computed[v], (full[x].height, full[x].width))
        held[x] = need.joined(held.get(x))
    return held
