"""Line plots as small PNGs, with Pillow alone.

draw("loss.png", [Panel("loss over iterations", "iteration", "loss", [Curve("a", xs, ys)])])
"""

import math
from collections import namedtuple
from typing import Any

from PIL import Image, ImageDraw

from fcn.atomic import replacing
from fcn.fonts import drawable, font_for

__all__ = ["Curve", "Panel", "draw", "over_runs", "smooth", "text_font", "ticks"]

#: low, high: edges of a band around the line, None for none. markers: a dot at each point.
Curve = namedtuple("Curve", "label xs ys low high markers", defaults=(None, None, False))

#: One diagram. ylim, xlim: (low, high), None for what the curves need. log: the x axis is base 2.
Panel = namedtuple(
    "Panel", "title xlabel ylabel curves ylim xlim log", defaults=(None, None, False)
)

#: Colours that are told apart by those who do not see red and green apart, too (Okabe and Ito).
COLOURS = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
    (90, 90, 90),
    (0, 0, 0),
    (150, 100, 40),
)

WIDTH, HEIGHT = 460, 320  # of one panel, pixels
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 34, 50  # margins around its axes
FINE = 3  # lines are drawn so many times larger, then averaged: smooth edges
#: What Pillow's own font lacks.
PLAIN = {"×": "x", "–": "-", "−": "-", "→": "to"}
INK, GRID = (40, 40, 40), (225, 225, 225)


def draw(path: str, panels: list[Panel]) -> None:
    """Write a PNG of panels side by side."""
    panels = [_in_plain_letters(panel) for panel in panels]
    size = (WIDTH * len(panels), HEIGHT + _legend_height(panels))
    image = Image.new("RGB", (size[0] * FINE, size[1] * FINE), "white")
    places = [_Axes(panel, WIDTH * i) for i, panel in enumerate(panels)]
    for axes in places:
        image = axes.draw_lines(image)
    image = image.resize(size, Image.BOX)
    canvas = ImageDraw.Draw(image)
    for axes in places:
        axes.draw_text(canvas, image)
    _draw_legend(canvas, panels)
    with replacing(path, durable=False) as temporary:
        image.quantize(64).save(temporary, "PNG", optimize=True)


def smooth(values: list[float], window: int) -> list[float]:
    """The mean of each value and those before it, up to `window` in all."""
    sums, total = [], 0.0
    for i, value in enumerate(values):
        total += value - (values[i - window] if i >= window else 0)
        sums.append(total / min(i + 1, window))
    return sums


def over_runs(label: str, xs: list[float], runs: list[list[float]], markers: bool = False) -> Curve:
    """A Curve of the mean of several runs' values at the same xs, in a band from least to most."""
    columns = list(zip(*runs))
    mean = [sum(column) / len(column) for column in columns]
    if len(runs) < 2:
        return Curve(label, xs, mean, markers=markers)
    return Curve(label, xs, mean, [min(c) for c in columns], [max(c) for c in columns], markers)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, some `about` of them."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    step = 10 ** math.floor(math.log10(span / about))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= about)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _in_plain_letters(panel: Panel) -> Panel:
    """The panel with the letters of PLAIN, and those that no font has, replaced in all it says."""

    def plain(text: str) -> str:
        text = "".join(PLAIN.get(letter, letter) for letter in text)
        return drawable(text, text_font(12, text))

    return panel._replace(
        title=plain(panel.title),
        xlabel=plain(panel.xlabel),
        ylabel=plain(panel.ylabel),
        curves=[curve._replace(label=plain(curve.label)) for curve in panel.curves],
    )


class _Axes:
    """One panel at x = `left` of the picture."""

    def __init__(self, panel: Panel, left: int) -> None:
        self.panel, self.left = panel, left
        self.box = (left + LEFT, TOP, left + WIDTH - RIGHT, HEIGHT - BOTTOM)
        self.xlim = panel.xlim or _range([x for c in panel.curves for x in c.xs], 0)
        ys = [
            y
            for c in panel.curves
            for part in (c.ys, c.low or (), c.high or ())
            for y in part
            if math.isfinite(y)
        ]
        self.ylim = panel.ylim or _range(ys, 0.04)

    def place(self, x: float, y: float, fine: int = 1) -> tuple[float, float]:
        """The pixel of a point."""
        low, high = self.xlim
        if self.panel.log:
            x, low, high = math.log(x), math.log(low), math.log(high)
        x0, y0, x1, y1 = self.box
        across = (x - low) / ((high - low) or 1)
        up = (y - self.ylim[0]) / ((self.ylim[1] - self.ylim[0]) or 1)
        # What lies far outside is cut off, for Pillow's coordinates have an end.
        up = min(max(up, -2), 3)
        return (x0 + across * (x1 - x0)) * fine, (y1 - up * (y1 - y0)) * fine

    def xticks(self) -> list[float]:
        if not self.panel.log:
            return ticks(*self.xlim)
        first, last = (math.log(value, 2) for value in self.xlim)
        return [2**i for i in range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1)]

    def draw_lines(self, image: Image.Image) -> Image.Image:
        """The grid, bands and lines, clipped to the axes."""
        box = [round(v * FINE) for v in self.box]
        inside = Image.new("RGB", image.size, "white")
        canvas = ImageDraw.Draw(inside)
        for y in ticks(*self.ylim):
            row = self.place(self.xlim[0], y, FINE)[1]
            canvas.line([box[0], row, box[2], row], GRID, FINE)
        for x in self.xticks():
            column = self.place(x, self.ylim[0], FINE)[0]
            canvas.line([column, box[1], column, box[3]], GRID, FINE)
        shown = [(_finite(curve), colour) for curve, colour in zip(self.panel.curves, COLOURS)]
        for curve, colour in shown:
            if curve.low and len(curve.xs) > 1:
                outline = [self.place(x, y, FINE) for x, y in zip(curve.xs, curve.low)]
                outline += [self.place(x, y, FINE) for x, y in zip(curve.xs, curve.high)][::-1]
                veil = Image.new("L", image.size, 0)
                ImageDraw.Draw(veil).polygon(outline, fill=46)
                inside.paste(colour, (0, 0), veil)
        canvas = ImageDraw.Draw(inside)
        for curve, colour in shown:
            points = [self.place(x, y, FINE) for x, y in zip(curve.xs, curve.ys)]
            if len(points) > 1:
                canvas.line(points, colour, 2 * FINE, joint="curve")
            if curve.markers or len(points) == 1:
                for x, y in points:
                    r = 3.5 * FINE
                    canvas.ellipse([x - r, y - r, x + r, y + r], fill=colour)
        image.paste(inside.crop((box[0], box[1], box[2], box[3])), (box[0], box[1]))
        ImageDraw.Draw(image).rectangle(box, outline=INK, width=FINE)
        return image

    def draw_text(self, canvas: ImageDraw.ImageDraw, image: Image.Image) -> None:
        x0, y0, x1, y1 = self.box
        middle = (x0 + x1) / 2
        _text(canvas, middle, y0 - 24, self.panel.title, 14)
        _text(canvas, middle, y1 + 26, self.panel.xlabel, 12)
        shown = ticks(*self.ylim)
        for y, word in zip(shown, _words(shown)):
            width, height = _extent(word, 11)
            canvas.text(
                (x0 - 6 - width, self.place(self.xlim[0], y)[1] - height / 2 - 1),
                word,
                INK,
                text_font(11),
            )
        shown = self.xticks()
        for x, word in zip(shown, _words(shown)):
            _text(canvas, self.place(x, self.ylim[0])[0], y1 + 6, word, 11)
        width, height = _extent(self.panel.ylabel, 12)
        label = Image.new("L", (width + 4, height + 6), 255)
        ImageDraw.Draw(label).text((2, 1), self.panel.ylabel, 40, text_font(12, self.panel.ylabel))
        label = label.rotate(90, expand=True)
        image.paste(label, (self.left + 6, int((y0 + y1 - label.height) / 2)))


def _finite(curve: Curve) -> Curve:
    """The curve without the points where a run had diverged."""
    kept = [
        i
        for i, values in enumerate(zip(curve.ys, curve.low or curve.ys, curve.high or curve.ys))
        if all(math.isfinite(value) for value in values)
    ]
    return curve._replace(
        **{
            name: values and [values[i] for i in kept]
            for name, values in zip(("xs", "ys", "low", "high"), curve[1:5])
        }
    )


def _range(values: list[float], margin: float) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0, 1)
    room = margin * ((high - low) or 1)
    return low - room, high + room if high > low or margin else high + 1


def _words(values: list[float]) -> list[str]:
    """Numbers with as many decimals as all of them need."""
    for digits in range(7):
        words = [f"{value:.{digits}f}" for value in values]
        if all(
            abs(float(word) - value) <= 1e-9 * max(1, abs(value))
            for word, value in zip(words, values)
        ):
            return words
    return [f"{value:.2g}" for value in values]


def _labels(panels: list[Panel]) -> list[str]:
    return list(dict.fromkeys(curve.label for panel in panels for curve in panel.curves))


def _legend_rows(panels: list[Panel]) -> list[list[Any]]:
    """Lines of (label, colour); every panel must have its labels in the same order."""
    colours: dict[Any, Any] = {}
    for panel in panels:
        for curve, colour in zip(panel.curves, COLOURS):
            colours.setdefault(curve.label, colour)
    rows: list[list[Any]] = [[]]
    used = 0
    for label in _labels(panels):
        width = _extent(label, 12)[0] + 44
        if rows[-1] and used + width > WIDTH * len(panels) - 20:
            rows.append([])
            used = 0
        rows[-1].append((label, colours[label], width))
        used += width
    return rows


def _legend_height(panels: list[Panel]) -> int:
    return 20 * len(_legend_rows(panels)) + 8


def _draw_legend(canvas: ImageDraw.ImageDraw, panels: list[Panel]) -> None:
    for i, row in enumerate(_legend_rows(panels)):
        x, y = (WIDTH * len(panels) - sum(width for _, _, width in row)) / 2, HEIGHT + 20 * i
        for label, colour, width in row:
            canvas.line([x, y + 8, x + 22, y + 8], colour, 3)
            canvas.text((x + 28, y), label, INK, text_font(12, label))
            x += width


def _text(canvas: ImageDraw.ImageDraw, x: float, y: float, words: str, size: int) -> None:
    """Text centred at x."""
    canvas.text((x - _extent(words, size)[0] / 2, y), words, INK, text_font(size, words))


def text_font(size: int, words: str = "") -> Any:
    return font_for(size, [words])[0]


def _extent(words: str, size: int) -> tuple[int, int]:
    """Width and height of a line of text."""
    font = text_font(size, words)
    if hasattr(font, "getbbox"):
        left, top, right, bottom = font.getbbox(words or " ")
        return int(math.ceil(right)), int(math.ceil(bottom))
    return font.getsize(words or " ")
