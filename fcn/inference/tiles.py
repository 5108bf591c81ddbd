"""Tiles whose scores are those of the whole image.

A tile's scores are valid where all that they depend on lies inside the tile, or where the tile
ends with the image, so that it meets the same padding.  A tile begins at a multiple of the net's
period, so that strided layers sample the same positions, and the rounding up of pooling, which
concerns the end of a tile, falls outside of what is kept, or at the image's end.
"""

from typing import Callable, NamedTuple, Optional

from fcn.geometry.fields import Geometry

__all__ = ["Span", "Tile", "plan", "smallest", "spans"]


class Span(NamedTuple):
    """Along one axis: pixels ``start`` to ``stop`` go in, scores ``first`` to ``last`` are kept."""

    start: int
    stop: int
    first: int
    last: int


class Tile(NamedTuple):
    """The spans of height and width."""

    rows: Span
    columns: Span


def smallest(geometry: Geometry) -> int:
    """The size from which tiles always make progress."""
    return geometry.before + geometry.after + geometry.period


def spans(length: int, size: int, geometry: Geometry) -> list[Span]:
    """Spans of at most ``size`` pixels that together keep 0 to ``length``, each pixel once."""
    if size < min(length, smallest(geometry)):
        raise ValueError(f"expected tiles of at least {smallest(geometry)}; received {size}")
    result, first = [], 0
    while first < length:
        start = max(0, (first - geometry.before) // geometry.period * geometry.period)
        stop = min(length, start + size)
        last = length if stop == length else stop - geometry.after
        result.append(Span(start, stop, first, last))
        first = last
    return result


def plan(
    height: int,
    width: int,
    geometries: tuple[Geometry, Geometry],
    memory: Callable[[int, int], int],
    budget: int,
) -> Optional[list[Tile]]:
    """The tiles of an image, one if possible, each within ``budget`` bytes.

    ``memory(height, width)`` is what a tile takes.  Among the ways that fit, the one that computes
    the fewest pixels is taken.  None if even the smallest tiles take more.
    """
    if memory(height, width) <= budget:
        return [Tile(Span(0, height, 0, height), Span(0, width, 0, width))]
    best, least = None, None
    ways = [_ways(length, geometry) for length, geometry in zip((height, width), geometries)]
    for rows in ways[0]:
        tall = max(s.stop - s.start for s in rows)
        for columns in ways[1]:
            pixels = sum(s.stop - s.start for s in rows) * sum(s.stop - s.start for s in columns)
            if least is not None and pixels >= least:
                continue
            if memory(tall, max(s.stop - s.start for s in columns)) <= budget:
                best, least = (rows, columns), pixels
    if best is None:
        return None
    return [Tile(row, column) for row in best[0] for column in best[1]]


def _ways(length: int, geometry: Geometry) -> list[list[Span]]:
    """For each number of tiles along an axis, the way with the smallest tiles."""
    ways = {}
    least = smallest(geometry)
    # From large to small: the last of equal count has the smallest tiles.
    for size in range(max(length, least), least - 1, -geometry.period):
        way = spans(length, size, geometry)
        ways[len(way)] = way
    way = spans(length, min(length, least), geometry)
    ways[len(way)] = way
    return list(ways.values())
