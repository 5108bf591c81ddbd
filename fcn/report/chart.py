"""Line charts as SVG, in the colours of the page they are in."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import NamedTuple

from fcn.plots import COLOURS, ticks

__all__ = ["Line", "chart", "colour"]

WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 42  # margins around the axes


class Line(NamedTuple):
    """markers: a dot at each point, whose numbers are told when the mouse is on it."""

    label: str
    xs: list[float]
    ys: list[float]
    markers: bool = False


def colour(number: int) -> str:
    """The colour of line `number` in CSS; black is that of the page's text."""
    if not any(COLOURS[number % len(COLOURS)]):
        return "currentColor"
    return "rgb({}, {}, {})".format(*COLOURS[number % len(COLOURS)])


def chart(
    title: str, lines: list[Line], xlabel: str, ylim: tuple[float, float] | None = None
) -> str:
    """A figure with a legend where there are several lines. ylim: None for what the lines need."""
    lines = [_finite(line) for line in lines]
    points = [(x, y) for line in lines for x, y in zip(line.xs, line.ys)]
    if not points:
        return ""
    right = max(x for x, _ in points) or 1
    low, high = ylim or _range([y for _, y in points])

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + x / right * (WIDTH - LEFT - RIGHT)
        up = (y - low) / (high - low)
        return round(across, 1), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    parts += _axes(place, right, low, high, xlabel)
    for i, line in enumerate(lines):
        corners = " ".join("{},{}".format(*place(x, y)) for x, y in zip(line.xs, line.ys))
        parts.append(
            f'<polyline points="{corners}" fill="none" stroke="{colour(i)}" stroke-width="2" '
            'stroke-linejoin="round"/>'
        )
        if line.markers or len(line.xs) == 1:
            for x, y in zip(line.xs, line.ys):
                column, row = place(x, y)
                told = escape(f"{line.label}, {xlabel} {x:g}: {y:.4g}")
                parts.append(
                    f'<circle cx="{column}" cy="{row}" r="3.5" fill="{colour(i)}">'
                    f"<title>{told}</title></circle>"
                )
    parts.append("</svg>")
    return (
        f"<figure class=chart><figcaption>{escape(title)}</figcaption>"
        f"{''.join(parts)}{_legend(lines)}</figure>"
    )


def _axes(
    place: Callable[[float, float], tuple[float, float]],
    right: float,
    low: float,
    high: float,
    xlabel: str,
) -> list[str]:
    parts = []
    for y in ticks(low, high):
        row = place(0, y)[1]
        parts.append(f'<line class=grid x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{row}" y2="{row}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{row + 4}" text-anchor="end">{y:.4g}</text>')
    for x in ticks(0, right):
        column = place(x, low)[0]
        base = HEIGHT - BOTTOM
        parts.append(f'<line class=grid x1="{column}" x2="{column}" y1="{TOP}" y2="{base}"/>')
        parts.append(f'<text x="{column}" y="{base + 16}" text-anchor="middle">{x:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(xlabel)}</text>'
    )
    return parts


def _legend(lines: list[Line]) -> str:
    if len(lines) < 2:
        return ""
    entries = "".join(
        f'<span><i style="background:{colour(i)}"></i>{escape(line.label)}</span>'
        for i, line in enumerate(lines)
    )
    return f"<div class=legend>{entries}</div>"


def _finite(line: Line) -> Line:
    kept = [(x, y) for x, y in zip(line.xs, line.ys) if y is not None and math.isfinite(y)]
    return line._replace(xs=[x for x, _ in kept], ys=[y for _, y in kept])


def _range(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        return low - 0.5, high + 0.5
    room = 0.05 * (high - low)
    # Losses begin at zero where that costs little room.
    return (0.0 if 0 <= low < 0.4 * high else low - room), high + room
