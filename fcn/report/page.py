"""The whole page: one run, or several side by side."""

from __future__ import annotations

import os
import time
from html import escape

from bootstrap import shown
from fcn.plots import COLOURS, smooth
from fcn.report.chart import Line, chart
from fcn.report.parts import percent, section, spent, swatch, table
from fcn.report.run import Run
from fcn.training.curves import WINDOWS

__all__ = ["page"]

#: Nothing is fetched, and nothing runs: the browser is told so.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(runs: list[Run]) -> str:
    """One HTML file without anything from elsewhere."""
    names = _names(runs)
    if len(runs) == 1:
        title = names[0]
        body = f"<h1>{escape(title)}</h1>{_about(runs[0])}{section(runs[0], '')}"
    else:
        title = f"{len(runs)} runs"
        body = f"<h1>{escape(title)}</h1><p class=soft>{escape(', '.join(names))}</p>"
        body += _side_by_side(runs, names)
        for i, (run, name) in enumerate(zip(runs, names), 1):
            body += (
                f'<section class=run id="run{i}"><h2>{escape(name)}</h2>{_about(run)}'
                f"{section(run, f'run{i}-', 3)}</section>"
            )
    with open(os.path.join(os.path.dirname(__file__), "style.css"), encoding="utf-8") as f:
        style = f.read()
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>\n"
        f"{body}\n<p class=soft>Written by report.py, {made}.</p></body></html>\n"
    )


def _names(runs: list[Run]) -> list[str]:
    """The runs' names; those of one name are told apart by their folders."""
    names = [run.name for run in runs]
    return [
        name if names.count(name) == 1 else f"{name} ({shown(run.folder)})"
        for name, run in zip(names, runs)
    ]


def _about(run: Run) -> str:
    facts = run.facts
    parts = [
        facts.get("dataset") and f"{facts['dataset']}, {len(run.classes)} classes",
        facts.get("backbone")
        and f"{facts['backbone']}, head {facts.get('head')}, stride {facts.get('stride')}",
        facts.get("time") and f"begun {str(facts['time']).replace('T', ' ').rstrip('Z')} UTC",
        facts.get("engine"),
    ]
    return f"<p class=soft>{escape(' · '.join(str(part) for part in parts if part))}</p>"


def _side_by_side(runs: list[Run], names: list[str]) -> str:
    rows = []
    for i, (run, name) in enumerate(zip(runs, names), 1):
        facts, best = run.facts, run.best
        rows.append(
            [
                f'<a href="#run{i}">{escape(name)}</a>',
                escape(str(facts.get("dataset", ""))),
                escape(str(facts.get("backbone", ""))),
                f"<b>{percent(best['mean_iu'])}</b>",
                percent(best["overall_accuracy"]),
                percent(best["mean_accuracy"]),
                str(best["step"]),
                str(run.scores[-1]["step"]),
                spent(facts),
                escape(str(facts.get("seed", ""))),
            ]
        )
    heading = ("run", "data", "backbone", "mean IU", "pixel accuracy", "mean accuracy")
    body = "<h2>Side by side</h2>" + table((*heading, "step", "steps", "time", "seed"), rows)
    if len(runs) <= len(COLOURS):
        measures = [
            Line(n, [r["step"] for r in run.scores], [r["mean_iu"] for r in run.scores], True)
            for run, n in zip(runs, names)
        ]
        losses = [
            Line(
                name,
                [row["step"] for row in run.steps],
                smooth([row["loss_per_pixel"] for row in run.steps], 1 + len(run.steps) // WINDOWS),
            )
            for run, name in zip(runs, names)
        ]
        body += (
            "<br><div class=charts>"
            + chart("Mean IU on val", measures, "step", (0, 1))
            + chart("Training loss per pixel", losses, "step")
            + "</div>"
        )
    if all(run.classes == runs[0].classes for run in runs):
        body += "<h3>IU of each class</h3>" + _classes(runs, names)
    return body


def _classes(runs: list[Run], names: list[str]) -> str:
    """The IU of each class in each run; the highest is bold."""
    rows = []
    for i, name in enumerate(runs[0].classes):
        values = [run.best["iu_" + name] for run in runs]
        most = max((v for v in values if v is not None), default=None)
        told = [
            f"<b>{percent(v)}</b>" if v is not None and v == most else percent(v) for v in values
        ]
        rows.append([swatch(runs[0].palette[i]) + escape(name), *told])
    return table(("class", *map(escape, names)), rows)
