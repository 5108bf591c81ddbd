"""The parts of a report about one run, as HTML."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np

from fcn.geometry import facts as geometry
from fcn.plots import COLOURS, smooth
from fcn.prototxt import read_net
from fcn.report import pictures
from fcn.report.chart import Line, chart
from fcn.report.run import Run
from fcn.training.curves import WINDOWS
from fcn.training.progress import duration

__all__ = ["curves", "percent", "section", "spent", "swatch", "table", "tiles"]

#: With more classes the cells of the confusion matrix hold no numbers.
MOST_NUMBERS = 22
#: Lines of the log that are shown.
LOG_LINES = 400


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def table(heading: Iterable[str], rows: Iterable[Iterable[Any]], kind: str = "") -> str:
    """Cells are HTML already."""
    head = "".join(f"<th>{cell}</th>" for cell in heading)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return (
        f'<div class=wide><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def swatch(colour: Any) -> str:
    return '<i class=swatch style="background:rgb({}, {}, {})"></i>'.format(*map(int, colour))


def spent(facts: dict[str, Any]) -> str:
    """The time that a run took, "" where its run.json has none."""
    seconds = facts.get("seconds")
    return duration(seconds) if isinstance(seconds, (int, float)) and 0 <= seconds < 1e9 else ""


def tiles(run: Run) -> str:
    """The figures that matter, large."""
    best, facts = run.best, run.facts
    found = [
        (percent(best["mean_iu"]), "mean IU on val"),
        (percent(best["overall_accuracy"]), "pixel accuracy"),
        (percent(best["mean_accuracy"]), "mean accuracy"),
        (f"{best['step']:,}".replace(",", " "), f"step, of {run.scores[-1]['step']}"),
    ]
    if spent(facts):
        found.append((spent(facts), f"training on {facts.get('device', '?')}"))
    if isinstance(facts.get("train_images"), int):
        images = f"{facts['train_images']} + {facts.get('val_images', '?')}"
        found.append((images, "images, train + val"))
    cells = "".join(
        f"<div class=tile><b>{escape(value)}</b><span>{escape(what)}</span></div>"
        for value, what in found
    )
    return f"<div class=tiles>{cells}</div>"


def curves(run: Run) -> str:
    """Loss, measures, IU of each class where they are few, and rate."""
    losses = [row["loss_per_pixel"] for row in run.steps]
    xs = [row["step"] for row in run.steps]
    steps = [row["step"] for row in run.scores]

    def of(key: str, label: str) -> Line:
        return Line(label, steps, [row[key] for row in run.scores], True)

    found = [
        chart(
            "Training loss per pixel",
            [Line("loss", xs, smooth(losses, 1 + len(losses) // WINDOWS))],
            "step",
        ),
        chart(
            "Measures on val",
            [
                of("mean_iu", "mean IU"),
                of("overall_accuracy", "pixel accuracy"),
                of("mean_accuracy", "mean accuracy"),
            ],
            "step",
            (0, 1),
        ),
    ]
    if len(run.classes) <= len(COLOURS):
        lines = [of("iu_" + name, name) for name in run.classes]
        found.append(chart("IU of each class on val", lines, "step", (0, 1)))
    rates = [row["rate"] for row in run.steps]
    if any(rate is not None for rate in rates):
        found.append(chart("Learning rate", [Line("rate", xs, rates)], "step"))
    return f"<div class=charts>{''.join(found)}</div>"


def bars(run: Run) -> str:
    """The IU of each class, and its share of val's pixels."""
    shares = None
    if run.confusion is not None and run.confusion.sum():
        shares = run.confusion.sum(1) / run.confusion.sum()
    rows = []
    for i, name in enumerate(run.classes):
        iu = run.best["iu_" + name]
        width = 100 * (iu or 0)
        colour = run.palette[i] if run.palette[i].any() else (128, 134, 145)
        bar = '<div class=bar><i style="width:{:.1f}%;background:rgb({}, {}, {})"></i></div>'
        rows.append(
            [
                swatch(run.palette[i]) + escape(name),
                bar.format(width, *map(int, colour)),
                "absent" if iu is None else percent(iu),
                "" if shares is None else f"<span class=soft>{percent(shares[i])}</span>",
            ]
        )
    return table(("class", "", "IU", "of val's pixels"), rows, "bars")


def confusion(run: Run) -> str:
    """The confusion matrix as a heat map: each row is shared out among what was found."""
    hist = run.confusion
    if hist is None:
        return "<p class=soft>There is no confusion matrix of that step.</p>"
    shares = hist / np.maximum(1, hist.sum(1, keepdims=True))
    many = len(run.classes) > MOST_NUMBERS
    head = "".join(f"<th class=turned><span>{escape(n)}</span></th>" for n in run.classes)
    rows = []
    for i, name in enumerate(run.classes):
        cells = []
        for j, other in enumerate(run.classes):
            share = float(shares[i, j])
            hue = "var(--blue)" if i == j else "var(--red)"
            # Rare confusions must be seen too: the root of the share.
            tint = f"rgba({hue}, {share**0.5:.3f})" if hist[i, j] else "var(--card)"
            ink = ";color:#fff" if share > 0.45 else ""
            text = f"{100 * share:.0f}" if share >= 0.005 and not many else ""
            told = escape(f"{name} found as {other}: {hist[i, j]} pixels, {100 * share:.2f} %")
            cells.append(f'<td style="background:{tint}{ink}" title="{told}">{text}</td>')
        label = f"<td>{escape(name)} {swatch(run.palette[i])}</td>"
        rows.append(f"<tr>{label}{''.join(cells)}</tr>")
    return (
        "<p class=soft>A row is the truth, in percent of its pixels; a column is what was "
        "found.</p><div class=wide>"
        f'<table class="heat{" many" if many else ""}"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def net(run: Run) -> str:
    """Parameters and work in a line, and each layer."""
    path = os.path.join(run.folder, "deploy.prototxt")
    try:
        net = read_net(path)
        rows, whole = geometry.walk(net), geometry.facts(net)
    except (OSError, ValueError, LookupError) as error:
        return f"<p class=soft>No table: {escape(str(error))}</p>"
    size = list(rows[0].blob.shape)
    parts = [
        f"<p>{whole.parameters / 1e6:.2f} million parameters, {whole.macs / 1e9:.2f} billion "
        f"multiply-adds for an image of {size[3]}×{size[2]}, receptive field {whole.field} pixels, "
        f"stride {whole.stride} at its coarsest.</p>"
    ]
    told = []
    for row in rows:
        if row.in_place:
            continue
        shape = "×".join(str(n) for n in row.blob.shape[1:])
        told.append(
            [
                escape(row.name),
                escape(row.type),
                shape,
                f"{float(1 / row.blob.scale):g}",
                f"{float(row.blob.field):g}",
                f"{row.params:,}".replace(",", " ") if row.params else "",
                f"{row.macs / 1e6:.1f} M" if row.macs else "",
            ]
        )
    heading = ("layer", "type", "output", "stride", "field", "parameters", "multiply-adds")
    parts.append(f"<details><summary>{len(told)} layers</summary>{table(heading, told)}</details>")
    return "".join(parts)


def settings(run: Run) -> str:
    """What run.json says, the solver and the log."""
    facts = dict(run.facts)
    for key in ("classes", "palette", "resumed"):
        facts.pop(key, None)
    command = facts.pop("command", None)
    if isinstance(command, list):
        facts["command"] = " ".join(shlex.quote(str(word)) for word in command)
    rows = [
        [escape(str(key).replace("_", " ")), _value(value)]
        for key, value in facts.items()
        if value not in ({}, None)
    ]
    resumed = run.facts.get("resumed")
    if isinstance(resumed, list) and resumed:
        told = ", ".join(f"step {again.get('step')}" for again in resumed)
        rows.append(["resumed at", escape(told)])
    body = "".join(f"<tr><td>{k}</td><td class=left>{v}</td></tr>" for k, v in rows)
    parts = [f"<div class=wide><table><tbody>{body}</tbody></table></div>"]
    log = run.text("log.txt").splitlines()
    shown = log if len(log) <= LOG_LINES else [*log[: LOG_LINES // 2], "…", *log[-LOG_LINES // 2 :]]
    for title, text in (
        ("solver.prototxt", run.text("solver.prototxt")),
        ("train.prototxt", run.text("train.prototxt")),
        ("log", "\n".join(shown)),
    ):
        if text:
            parts.append(f"<details><summary>{title}</summary><pre>{escape(text)}</pre></details>")
    return "".join(parts)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "<br>".join(f"{escape(str(k))}: {escape(str(v))}" for k, v in value.items())
    if isinstance(value, list):
        return "<br>".join(escape(str(v)) for v in value) or "none"
    return escape(str(value))


def section(run: Run, prefix: str, level: int = 2) -> str:
    """All of a run; prefix: of the ids of its headings."""
    parts = [
        ("curves", "Curves", curves(run)),
        ("classes", "Classes", bars(run)),
        ("confusion", "Confusion", confusion(run)),
        ("time", "In the course of the run", pictures.over_time(run)),
        ("worst", "Worst images", pictures.ranking(run, run.worst_images)),
        ("best", "Best images", pictures.ranking(run, run.best_images)),
        ("net", "Net", net(run)),
        ("settings", "Settings", settings(run)),
    ]
    shown = [(key, title, html) for key, title, html in parts if html]
    links = "".join(f'<a href="#{prefix}{key}">{title}</a>' for key, title, _ in shown)
    body = "".join(
        f'<h{level} id="{prefix}{key}">{title}</h{level}>{html}' for key, title, html in shown
    )
    return f"{tiles(run)}<nav>{links}</nav>{body}"
