"""The page: an SVG of the graph, and beside it what is known of the layer that was clicked."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from html import escape
from importlib import resources
from math import prod
from typing import Any

import numpy as np

from caffe.atomic import atomic_path
from caffe.draw import get_pooling_types_dict
from caffe.errors import Error
from caffe.net import Net
from caffe.prototxt import read_net
from caffe.viewer import timing
from caffe.viewer.facts import Facts, Pair, collect
from caffe.viewer.graph import Box, Edge, boxes
from caffe.viewer.layout import arrange

__all__ = ["view"]

#: Pixels of the drawing: a box, the room below it and beside it, its border.
WIDTH, HEIGHT, BELOW, GAP, MARGIN = 550, 26, 13, 26, 48
#: Where a box's name and kernel begin, shape and work end; letters of the first two.
NAME, KERNEL, SHAPE, WORK, LETTERS = 14, 182, 474, 542, (20, 28)

#: (what the legend says, class, layer types)
KINDS: tuple[tuple[str, str, set[str]], ...] = (
    ("convolution", "conv", {"Convolution", "Im2col"}),
    ("upsampling", "up", {"Deconvolution", "Upsample", "Interp"}),
    ("pooling", "pool", {"Pooling", "SPP", "ROIPooling", "PSROIPooling", "ROIAlign"}),
    ("inner product, recurrent", "full", {"InnerProduct", "LSTM", "RNN", "Embed"}),
    ("sum, concatenation", "join", {"Eltwise", "Concat", "Axpy", "Slice"}),
    ("crop", "crop", {"Crop", "CropCenter"}),
    ("normalization", "norm", {"BatchNorm", "Scale", "Bias", "LRN", "MVN", "BN", "Normalize"}),
    ("input, data", "data", {"Input", "Python", "MemoryData", "DummyData"}),
    ("loss, accuracy", "loss", {"Accuracy"}),
    ("other", "other", set()),
)


def view(
    path: str | os.PathLike[str],
    page: str | os.PathLike[str],
    phase: int,
    size: tuple[int, int] | None = None,
    weights: str | None = None,
    iterations: int = 0,
) -> str:
    """Write the page of a net.

    Args:
        path: its prototxt.
        page: the HTML file.
        phase: ``caffe.TRAIN`` or ``caffe.TEST``.
        size: height and width of the inputs, in place of the prototxt's.
        weights: a caffemodel, whose values' range is shown.
        iterations: how often to time each layer; 0 for not at all.

    Returns:
        Why the net could not be built, so that the page has no shapes; "" if it could.

    Raises:
        Error: the prototxt cannot be read, or what was asked for needs a net that can be built.
    """
    param = read_net(path)
    param.state.phase = phase  # type: ignore[assignment]
    source, problem, whole = os.fspath(path), "", 0.0
    net: Net | None = None
    try:
        net = Net.from_param(param, source)
        if size:
            _resize(net, size)
    except Error as error:
        # What a data layer reads need not be here; the graph can be seen all the same.
        if size or weights or iterations:
            raise
        net, problem = None, str(error)
    if net is not None and weights:
        net.copy_from(weights)
    rows = collect(param, net)
    if net is not None and weights:
        _spread(rows, net)
    if net is not None and iterations:
        each, whole = timing.measure(net, iterations)
        for row in rows:
            row.ms = each[row.index] if row.index is not None else None
    where = os.path.join(os.path.basename(os.path.dirname(os.path.abspath(source))), "")
    text = _page(param.name or where + os.path.basename(source), rows, net, problem, whole)
    with atomic_path(page) as temporary:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
    return problem


def _resize(net: Net, size: tuple[int, int]) -> None:
    for name in net.inputs:
        shape = net.blobs[name].data.shape
        if len(shape) == 4:
            net.blobs[name].reshape(*shape[:2], *size)
    net.reshape()


def _spread(rows: list[Facts], net: Net) -> None:
    for row in rows:
        blobs = net._graph.layers[row.index].blobs if row.index is not None else []
        for parameter, blob in zip(row.params, blobs):
            values = np.asarray(blob.data)
            if values.size:
                found = values.min(), values.max(), values.mean(), values.std()
                parameter.spread = tuple(float(value) for value in found)  # type: ignore[assignment]


# The drawing ------------------------------------------------------------------------------------


def _kind(row: Facts) -> str:
    for _, kind, types in KINDS:
        if row.type in types:
            return kind
    if row.type.endswith("Data"):
        return "data"
    return "loss" if "Loss" in row.type else "other"


def _drawing(made: list[Box], edges: list[Edge]) -> str:
    shown = [edge for edge in edges if not edge.size_only]
    layout = arrange(len(made), [(e.source, e.target) for e in shown], WIDTH, GAP)
    step = HEIGHT + BELOW
    left = [MARGIN + x - WIDTH / 2 for x in layout.x]
    top = [MARGIN + rank * step for rank in layout.rank]
    middles = layout.x + [x for way in layout.ways for x in way]
    width = max(middles, default=0) + WIDTH / 2 + 2 * MARGIN
    height = max(top, default=0) + HEIGHT + MARGIN
    parts = [
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="the net\'s graph">'
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
        '<path d="M0 0 8 4 0 8z"/></marker></defs>'
    ]
    for edge, way in zip(shown, layout.ways):
        points: list[tuple[float, float]] = [
            (MARGIN + layout.x[edge.source], top[edge.source] + HEIGHT)
        ]
        for i, x in enumerate(way):
            y = MARGIN + (layout.rank[edge.source] + 1 + i) * step
            points += [(MARGIN + x, y), (MARGIN + x, y + HEIGHT)]
        points.append((MARGIN + layout.x[edge.target], top[edge.target] - 1))
        parts.append(_arrow(edge, _curve(points)))
    for edge in edges:  # along the right side; seen where one of its ends is chosen
        if edge.size_only:
            ends = [
                (left[box] + WIDTH + 2, top[box] + HEIGHT / 2) for box in (edge.source, edge.target)
            ]
            parts.append(_arrow(edge, _bow(*ends)))
    most = max((_work(box) for box in made), default=0)
    before: dict[int, Pair | None] = {}
    for edge in shown:
        before.setdefault(edge.target, made[edge.source].layers[0].stride)
    for number, box in enumerate(made):
        parts.append(_box(number, box, left[number], top[number], most, before.get(number)))
    return "".join([*parts, "</svg>"])


def _arrow(edge: Edge, way: str) -> str:
    return (
        f'<path class="edge{" size" * edge.size_only}" data-from="{edge.source}" '
        f'data-to="{edge.target}" marker-end="url(#head)" d="{way}">'
        f"<title>{escape(edge.blob)}</title></path>"
    )


def _bow(one: tuple[float, float], other: tuple[float, float]) -> str:
    (x0, y0), (x1, y1) = one, other
    out = max(x0, x1) + 60
    return f"M{x0:.1f} {y0:.1f}C{out:.1f} {y0:.1f} {out:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"


def _curve(points: list[tuple[float, float]]) -> str:
    text = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        middle = (y0 + y1) / 2
        if abs(x0 - x1) < 0.5:
            text.append(f"L{x1:.1f} {y1:.1f}")
        else:
            text.append(f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}")
    return "".join(text)


def _work(box: Box) -> float:
    """What the bar shows: time where it was measured, else multiply-adds."""
    times = [row.ms for row in box.layers if row.ms is not None]
    return sum(times) if times else sum(row.macs for row in box.layers)


def _box(number: int, box: Box, x: float, y: float, most: float, before: Pair | None) -> str:
    first = box.layers[0]
    more = _kernel(first) + "".join(f" + {row.type}" for row in box.layers[1:])
    work = _work(box)
    amount = _ms(work) if first.ms is not None else _count(work) if work else ""
    names = ", ".join(row.name for row in box.layers)
    kind, line = _kind(first), y + 17.5
    parts = [
        f'<g class="box" data-box="{number}" tabindex="0" role="button" '
        f'aria-label="{escape(f"{names}: {more}")}"><title>{escape(f"{names}: {more}")}</title>'
        f'<rect class="body" x="{x:.1f}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>'
    ]
    if work and most:
        share = max(1, (WIDTH - 5) * work / most)
        parts.append(
            f'<rect class="share k-{kind}" x="{x + 5:.1f}" y="{y + 1}" width="{share:.1f}" '
            f'height="{HEIGHT - 2}"/>'
        )
    texts = (
        ("name", NAME, _short(first.name, LETTERS[0])),
        ("more", KERNEL, _short(more, LETTERS[1])),
        ("right", SHAPE, _shape(first.shapes[0]) if first.shapes else ""),
        ("more right", WORK, amount),
    )
    parts.append(f'<rect class="k-{kind}" x="{x:.1f}" y="{y}" width="5" height="{HEIGHT}" rx="2"/>')
    parts += [
        f'<text class="{style}" x="{x + at:.1f}" y="{line}">{escape(text)}</text>'
        for style, at, text in texts
        if text
    ]
    if first.stride and before and first.stride != before:
        text = f"/{_pair(first.stride)}"
        parts.append(f'<text class="stride" x="{x - 6:.1f}" y="{line}">{text}</text>')
    return "".join([*parts, "</g>"])


def _short(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: max(1, letters - 1)] + "…"


# What is told of a layer ------------------------------------------------------------------------


def _kernel(row: Facts) -> str:
    """What a layer does, in short, from its prototxt: "conv 3×3, stride 2, pad 1"."""
    from caffe.proto import caffe_pb2
    from caffe.prototxt import parse_text

    layer: Any = parse_text(row.text, caffe_pb2.LayerParameter())
    text = {"Convolution": "conv", "Deconvolution": "deconv"}.get(row.type, row.type)
    if row.type in ("Convolution", "Deconvolution", "Pooling"):
        pooling = row.type == "Pooling"
        p = layer.pooling_param if pooling else layer.convolution_param
        if pooling:
            text = f"{get_pooling_types_dict()[p.pool].lower()} pool"
            if p.global_pooling:
                return "global " + text
        sizes = [
            _given(p, name, short, default)
            for name, short, default in (
                ("kernel_size", "kernel", 1),
                ("stride", "stride", 1),
                ("pad", "pad", 0),
            )
        ]
        text += f" {sizes[0][0]}×{sizes[0][1]}"
        for name, values, default in (("stride", sizes[1], 1), ("pad", sizes[2], 0)):
            if values != (default, default):
                same = values[0] == values[1]
                text += f", {name} {values[0] if same else f'{values[0]}×{values[1]}'}"
        if not pooling and p.group > 1:
            text += f", {p.group} groups"
        if not pooling and p.dilation and max(p.dilation) > 1:
            text += f", dilation {max(p.dilation)}"
    elif row.type == "Eltwise":
        text = layer.eltwise_param.EltwiseOp.Name(layer.eltwise_param.operation).lower()
    elif row.type == "Crop" and len(row.bottoms) > 1:
        text = f"crop to {row.bottoms[1]}"
    return text


def _given(p: Any, name: str, short: str, default: int) -> tuple[int, int]:
    if p.HasField(short + "_h") or p.HasField(short + "_w"):
        return getattr(p, short + "_h"), getattr(p, short + "_w")
    value = getattr(p, name)
    values = [value] if isinstance(value, int) else list(value) or [default]
    return values[0], values[-1]


def _facts(row: Facts) -> list[tuple[str, str]]:
    told = [("reads", ", ".join(row.bottoms)), ("gives", ", ".join(row.tops))]
    if row.shapes is not None:
        told.append(("shape", "; ".join("×".join(map(str, shape)) for shape in row.shapes)))
        for i, parameter in enumerate(row.params):
            shape = "×".join(map(str, parameter.shape))
            rate = "" if parameter.lr_mult == 1 else f", lr_mult {parameter.lr_mult:g}"
            told.append((f"parameter {i}", f"{shape} = {prod(parameter.shape):,}{rate}"))
            if parameter.spread:
                least, largest, mean, deviation = parameter.spread
                told.append(
                    ("", f"{least:.3g} to {largest:.3g}, mean {mean:.2g} ± {deviation:.2g}")
                )
        if row.macs:
            told.append(("multiply-adds", _count(row.macs)))
        if row.stride:
            told.append(("stride", f"{_pair(row.stride)} pixels of the input"))
        if row.field:
            told.append(("receptive field", f"{_pair(row.field)} pixels"))
        elif row.bottoms and row.shapes and len(row.shapes[0]) == 4:
            told.append(("receptive field", "not known: behind Resample, MVN and the like"))
    if row.ms is not None:
        told.append(("forward", _ms(row.ms)))
    return [(key, value) for key, value in told if value]


def _shape(shape: tuple[int, ...]) -> str:
    inner = shape[1:] if len(shape) > 1 else shape
    return "×".join(map(str, inner)) or "scalar"


def _pair(values: Pair) -> str:
    height, width = (_number(value) for value in values)
    return height if height == width else f"{height}×{width}"


def _number(value: Fraction) -> str:
    return str(value) if value.denominator > 1 else str(value.numerator)


def _count(value: float) -> str:
    """ "363 G": a number as three digits and a prefix."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.0f}"


def _ms(value: float) -> str:
    return f"{value:.3g} ms" if value < 1000 else f"{value / 1000:.3g} s"


# The page ---------------------------------------------------------------------------------------


def _page(name: str, rows: list[Facts], net: Net | None, problem: str, whole: float) -> str:
    made, edges = boxes(rows)
    kinds = {_kind(box.layers[0]) for box in made}
    legend = "".join(
        f'<span><i class="k-{kind}"></i>{escape(text)}</span>'
        for text, kind, _ in KINDS
        if kind in kinds
    )
    totals = [("layers", f"{len(rows)}")]
    if net is not None:
        totals += [
            ("parameters", _count(sum(row.parameters for row in rows))),
            ("multiply-adds", _count(sum(row.macs for row in rows))),
            ("input", ", ".join(_shape(tuple(net.blobs[n].data.shape)) for n in net.inputs)),
        ]
    if whole:
        totals += [("forward pass", _ms(whole))]
    facts = [
        [{"name": r.name, "type": r.type, "facts": _facts(r), "text": r.text} for r in box.layers]
        for box in made
    ]
    bars = "time" if whole else "multiply-adds"
    return _PAGE.format(
        title=escape(name),
        style=_file("page.css"),
        script=_file("page.js"),
        totals="".join(
            f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in totals if v
        ),
        problem=f'<p class="problem">Without shapes: {escape(problem)}</p>' if problem else "",
        legend=legend,
        drawing=_drawing(made, edges),
        bars=bars,
        most=_most(made, bars),
        layers=json.dumps(facts).replace("<", "\\u003c"),
    )


def _most(made: list[Box], what: str) -> str:
    """The boxes that work most, as a table."""
    total = sum(map(_work, made))
    if not total:
        return ""
    lines = [
        f"<tr><th>{escape(box.layers[0].name)}</th><td>{_work(box) / total:.1%}</td></tr>"
        for box in sorted(made, key=_work, reverse=True)[:8]
    ]
    return f"<h2>Most {what}</h2><table>{''.join(lines)}</table>"


def _file(name: str) -> str:
    return resources.files("caffe.viewer").joinpath(name).read_text(encoding="utf-8")


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'">
<style>
{style}</style></head><body>
<header><h1>{title}</h1><dl>{totals}</dl>
<input id="find" type="search" placeholder="Find a layer  ( / )" aria-label="Find a layer">
{problem}</header>
<main id="graph">{drawing}
<div id="kinds">{legend}</div>
<div id="zoom"><button id="in" aria-label="larger">+</button>
<button id="out" aria-label="smaller">−</button><button id="whole">Whole net</button></div></main>
<aside><h2>Layers</h2><p class="hint">Click one for its prototxt, shapes and receptive field. The \
shade in a box is its share of the {bars}; /8 beside it: from here on, one value for 8 pixels. \
Drag to move, Ctrl and wheel to zoom. Dashed: a Crop takes only the size.</p>{most}</aside>
<script type="application/json" id="layers">{layers}</script>
<script>
{script}</script></body></html>
"""
