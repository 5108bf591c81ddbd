"""``caffe plot_training_log TYPE OUT.png LOG …``: a chart of one or more training logs.

The types are those of BVLC's tools/extra/plot_training_log.py.example, by number; ``accuracy`` and
``loss`` are the first output whose name has the word.  A name in the place of the number, such as
``train:loss_bbox`` or ``test:accuracy``, draws that output over iterations.
"""

from __future__ import annotations

import io
import os
from typing import Any

from caffe.atomic import atomic_write
from caffe.errors import DataError, Error
from caffe.tools.flags import run
from caffe.tools.parse_log import parse_log, read_log

__all__ = ["TYPES", "main", "points"]

# number → (title, phase, the output's name, the x axis)
TYPES = [
    (f"{phase.title()} {title}  vs. {axis}", phase, name, column)
    for phase, title, name in (
        ("test", "accuracy", "accuracy"),
        ("test", "loss", "loss"),
        ("train", "learning rate", "LearningRate"),
        ("train", "loss", "loss"),
    )
    for axis, column in (("Iters", "NumIters"), ("Seconds", "Seconds"))
]
USAGE = "Usage:\n    plot_training_log TYPE OUT.png LOG …\nTypes, or PHASE:OUTPUT:\n" + "\n".join(
    f"    {number}: {row[0]}" for number, row in enumerate(TYPES)
)


def points(log: str, phase: str, name: str, axis: str) -> tuple[list[float], list[float]]:
    """The x and y values of one curve.

    Raises:
        DataError: the log cannot be read, or has no such output.
    """
    table = dict(zip(("train", "test"), parse_log(read_log(log), log)))[phase]
    outputs = table.columns[2:]
    column = name if name in outputs else next((c for c in outputs if name in c.lower()), None)
    rows = [row for row in table.rows if column in row]
    if column is None or not rows:
        raise DataError(
            f"{log}: no {phase} output '{name}'; it has {', '.join(outputs[1:]) or 'none'}"
        )
    return [row[axis] for row in rows], [row[column] for row in rows]


def main(argv: list[str]) -> int:
    """Run the tool; returns the exit status.

    Raises:
        Error: matplotlib is missing, the type is unknown, or a file cannot be read or written.
    """
    if len(argv) < 3 or argv[0].startswith("-"):
        print(USAGE)
        return 0 if argv and argv[0].lstrip("-") in ("h", "help") else 1
    kind, out, *logs = argv
    title, phase, name, axis = _type(kind)
    if os.path.splitext(out)[1].lower() not in (".png", ".svg", ".pdf"):
        raise DataError(f"'{out}': expected a name that ends in .png, .svg or .pdf")
    curves = {log: points(log, phase, name, axis) for log in logs}
    figure = _matplotlib().figure.Figure()
    axes = figure.subplots()
    for log, (x, y) in curves.items():
        label = os.path.basename(log).removesuffix(".log")
        axes.plot(x, y, label=label, linewidth=0.75, marker=".")
    axes.set(title=title, xlabel=axis, ylabel=title.split("  vs. ")[0])
    axes.legend(loc="lower right" if "accuracy" in title else "upper right")
    picture = io.BytesIO()
    figure.savefig(picture, format=os.path.splitext(out)[1][1:].lower())
    with atomic_write(out) as stream:
        stream.write(picture.getvalue())
    return 0


def _type(kind: str) -> tuple[str, str, str, str]:
    if kind.isdecimal() and int(kind) < len(TYPES):
        return TYPES[int(kind)]
    phase, colon, name = kind.partition(":")
    if phase in ("train", "test") and colon and name:
        return f"{phase.title()} {name}  vs. Iters", phase, name, "NumIters"
    raise DataError(
        f"'{kind}' is no chart type: expected 0 to {len(TYPES) - 1}, or PHASE:OUTPUT such as "
        "train:loss"
    )


def _matplotlib() -> Any:
    try:
        import matplotlib.figure
    except ImportError as error:
        raise Error(
            "plot_training_log needs matplotlib: pip install 'pycaffe-torch[plot]'"
        ) from error
    return matplotlib


if __name__ == "__main__":
    run(main)
