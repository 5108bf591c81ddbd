"""Where the boxes of a graph stand: in ranks from top to bottom, few crossings, straight paths.

The usual four steps (Sugiyama): a rank is the longest way from an input; an arrow over several
ranks gets a place in each; the order within ranks follows the means of the neighbours'; then each
place moves towards its neighbours as far as the others leave room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Layout", "arrange"]

#: Rounds of ordering and of moving.
_ORDER, _MOVE = 12, 120
#: How much straighter a chain and the middle of a long arrow want to be than a fork.
_STRAIGHT = 8.0


class Layout(NamedTuple):
    """``x``: the middle of each box; ``rank``: 0 for the topmost; ``ways``: of each arrow, the
    middles that it passes in the ranks between its ends, top to bottom."""

    x: list[float]
    rank: list[int]
    ways: list[list[float]]


def arrange(count: int, edges: Sequence[tuple[int, int]], width: float, gap: float) -> Layout:
    """Arrange ``count`` boxes of one width.

    Args:
        edges: (source, target), the source's number below the target's.
        width: of a box.
        gap: between two boxes of a rank; what an arrow needs in passing.
    """
    rank = [0] * count
    for source, target in sorted(edges, key=lambda edge: edge[1]):
        rank[target] = max(rank[target], rank[source] + 1)
    ranks: list[list[int]] = [[] for _ in range(max(rank, default=0) + 1)]
    for box in range(count):
        ranks[rank[box]].append(box)
    # Places are boxes and, from `count` on, the points that long arrows pass.
    up: list[list[int]] = [[] for _ in range(count)]
    down: list[list[int]] = [[] for _ in range(count)]
    passed: list[list[int]] = []
    for source, target in edges:
        last, points = source, []
        for between in range(rank[source] + 1, rank[target]):
            point = len(up)
            up.append([])
            down.append([])
            ranks[between].append(point)
            points.append(point)
            up[point].append(last)
            down[last].append(point)
            last = point
        up[target].append(last)
        down[last].append(target)
        passed.append(points)
    widths = [width] * count + [gap] * (len(up) - count)
    _order(ranks, up, down)
    x = _move(ranks, up, down, widths, gap)
    _straighten(ranks, up, down, widths, gap, x)
    least = min((x[p] - widths[p] / 2 for p in range(len(x))), default=0.0)
    x = [value - least for value in x]
    return Layout(x[:count], rank, [[x[point] for point in points] for points in passed])


def _order(ranks: list[list[int]], up: list[list[int]], down: list[list[int]]) -> None:
    """Sort each rank by the mean position of the neighbours above, then below, in turn."""
    position = [0.0] * len(up)

    def number(places: list[int]) -> None:
        for i, place in enumerate(places):
            position[place] = i - (len(places) - 1) / 2

    for places in ranks:
        number(places)
    for turn in range(_ORDER):
        near = up if turn % 2 == 0 else down
        for places in ranks if turn % 2 == 0 else reversed(ranks):
            places.sort(key=lambda place: _mean(near[place], position, position[place]))
            number(places)


def _mean(places: list[int], position: list[float], otherwise: float) -> float:
    return sum(position[p] for p in places) / len(places) if places else otherwise


def _move(
    ranks: list[list[int]],
    up: list[list[int]],
    down: list[list[int]],
    widths: list[float],
    gap: float,
) -> list[float]:
    x = [0.0] * len(up)
    for places in ranks:  # side by side, in the middle
        at = -sum(widths[place] + gap for place in places) / 2
        for place in places:
            x[place] = at + widths[place] / 2
            at += widths[place] + gap
    for turn in range(_MOVE):
        for places in ranks if turn % 2 == 0 else reversed(ranks):
            wanted, weights = [], []
            for place in places:
                near = up[place] + down[place] if turn > 1 else (up, down)[turn % 2][place]
                pull = [_STRAIGHT if _chained(place, n, up, down) else 1.0 for n in near]
                total = sum(pull)
                mean = sum(p * x[n] for p, n in zip(pull, near)) / total if near else x[place]
                wanted.append(mean)
                weights.append(total or 0.1)
            apart = [(widths[a] + widths[b]) / 2 + gap for a, b in zip(places, places[1:])]
            for place, value in zip(places, _spread(wanted, weights, apart)):
                x[place] = value
    return x


def _straighten(
    ranks: list[list[int]],
    up: list[list[int]],
    down: list[list[int]],
    widths: list[float],
    gap: float,
    x: list[float],
) -> None:
    """Put each chain, the longest first, on one vertical line where its neighbours leave room."""
    chains, seen = [], set()
    for place in (place for places in ranks for place in places):
        if place in seen:
            continue
        chain = [place]
        while len(down[chain[-1]]) == 1 and _chained(chain[-1], down[chain[-1]][0], up, down):
            chain.append(down[chain[-1]][0])
        seen.update(chain)
        chains.append(chain)
    beside = {}
    for places in ranks:
        for left, place, right in zip([None, *places], places, [*places[1:], None]):
            beside[place] = left, right
    for _ in range(6):
        for chain in sorted(chains, key=len, reverse=True):
            least, most = -float("inf"), float("inf")
            for place in chain:
                left, right = beside[place]
                if left is not None:
                    least = max(least, x[left] + (widths[left] + widths[place]) / 2 + gap)
                if right is not None:
                    most = min(most, x[right] - (widths[right] + widths[place]) / 2 - gap)
            if least > most:
                continue
            ends = [x[n] for n in up[chain[0]] + down[chain[-1]]]
            wanted = sum(ends) / len(ends) if ends else x[chain[0]]
            for place in chain:
                x[place] = min(max(wanted, least), most)


def _chained(one: int, other: int, up: list[list[int]], down: list[list[int]]) -> bool:
    """Whether two neighbours have no others on the sides that they turn to each other."""
    if other in up[one]:
        return len(up[one]) == len(down[other]) == 1
    return len(down[one]) == len(up[other]) == 1


def _spread(wanted: list[float], weights: list[float], apart: list[float]) -> list[float]:
    """The positions nearest to the wanted ones, by weighted squares, that lie ``apart``.

    Less the distances that must be, positions only need to rise: neighbours that do not are
    pooled at their mean.
    """
    shift, shifts = 0.0, [0.0]
    for distance in apart:
        shift += distance
        shifts.append(shift)
    pools: list[tuple[float, float, int]] = []  # (mean, weight, how many)
    for value, weight, offset in zip(wanted, weights, shifts):
        pools.append((value - offset, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, wa, na), (b, wb, nb) = pools[-2:]
            pools[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    flat = [mean for mean, _, size in pools for _ in range(size)]
    return [value + offset for value, offset in zip(flat, shifts)]
