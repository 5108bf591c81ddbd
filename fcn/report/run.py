"""A training run as it lies in its folder: see `fcn.training.records`."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

import bootstrap
from bootstrap import shown
from fcn.catalog.folders import FILE as EXPERIMENT
from fcn.errors import StartError
from fcn.training import records
from fcn.training.records import Records, read_rows, step_name
from fcn.weights.find import OUT

__all__ = ["Run", "Scored", "find", "read"]

IMAGES = ("image", "pictures", "mean_iu", "overall_accuracy")  # columns of images.csv
LOSSES = ("loss", "loss_per_pixel")  # columns of train.csv; "rate" may be empty


class Scored(NamedTuple):
    """One image that is shown: its name, measures, and the files of photo, truth and labels."""

    name: str
    mean_iu: float
    accuracy: float
    photo: str
    truth: str
    labels: str


class Run(NamedTuple):
    """steps and scores: rows of train.csv and results.csv; best: the score with the highest mean
    IU; confusion: of that step, int64, rows truth, or None; images: its rows of images.csv."""

    folder: str
    name: str
    facts: dict[str, Any]
    classes: list[str]
    palette: np.ndarray
    steps: list[dict[str, Any]]
    scores: list[dict[str, Any]]
    best: dict[str, Any]
    confusion: np.ndarray | None
    images: list[dict[str, Any]]
    worst_images: list[Scored]
    best_images: list[Scored]
    samples: list[str]

    def text(self, name: str) -> str:
        """A file of the folder, "" where there is none."""
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""


def find(given: str) -> str:
    """The folder of a run: that itself, a net's folder, or an experiment's name.

    StartError says what there is instead.
    """
    path = bootstrap.user_path(given)
    name = os.path.basename(path)
    places = [path, os.path.join(path, "out", name), os.path.join(OUT, given)]
    for place in places:
        if _is_run(place):
            return place
    inside = [entry for entry in _folders(path) if _is_run(os.path.join(path, entry))]
    if len(inside) == 1:
        return os.path.join(path, inside[0])
    if inside:
        one = os.path.join(shown(path), inside[0])
        raise StartError(
            f"{shown(path)} holds {len(inside)} runs, {', '.join(inside)}: name them, as {one}"
        )
    if os.path.isfile(os.path.join(path, EXPERIMENT)):
        raise StartError(f"the net in {shown(path)} was not trained yet, or not scored")
    raise StartError(
        f"no run at {given!r}: expected the folder of a run with its {records.RESULTS}, a net's "
        "folder, or the name of an experiment that was trained here"
    )


def _is_run(path: str) -> bool:
    return os.path.isfile(os.path.join(path, records.RESULTS))


def _folders(path: str) -> list[str]:
    if not os.path.isdir(path):
        return []
    return [name for name in sorted(os.listdir(path)) if os.path.isdir(os.path.join(path, name))]


def read(folder: str) -> Run:
    """The run in a folder; StartError where its tables are damaged."""
    results = os.path.join(folder, records.RESULTS)
    scores = _table(results, records.MEASURES)
    columns = list(scores[0]) if scores else []
    classes = [key[len("iu_") :] for key in columns if key.startswith("iu_")]
    if not scores or not classes:
        raise StartError(f"{shown(results)} is not what solve.py writes: no classes in it")
    facts = Records(folder, "", {}).facts() or {}
    best = max(scores, key=lambda row: (row["mean_iu"] or 0, -row["step"]))
    scored = os.path.join(folder, records.SCORED, step_name(best["step"]))
    images = _table(os.path.join(scored, "images.csv"), IMAGES, ("image", "pictures"))
    samples = os.path.join(folder, records.SAMPLES)
    return Run(
        folder=folder,
        name=str(facts.get("experiment") or os.path.basename(folder)),
        facts=facts,
        classes=classes,
        palette=_palette(facts.get("palette"), len(classes)),
        steps=_table(os.path.join(folder, records.TRAIN), records.STEPS, filled=LOSSES),
        scores=scores,
        best=best,
        confusion=_confusion(os.path.join(scored, "confusion.csv"), len(classes)),
        images=images,
        worst_images=_shown(scored, images, "worst"),
        best_images=_shown(scored, images, "best"),
        samples=[os.path.join(samples, name) for name in _folders(samples)],
    )


def _table(
    path: str, columns: Iterable[str], text: Sequence[str] = (), filled: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The rows of a CSV that has these columns at least; all numbers but those of ``text``, or
    empty but those ``filled``."""
    rows = read_rows(path)
    for number, row in enumerate(rows, 1):
        lacking = [name for name in columns if name not in row]
        if lacking:
            raise StartError(
                f"{shown(path)} is not what solve.py writes: it has no {', '.join(lacking)}"
            )
        for name, value in row.items():
            whole = name != "step" or (isinstance(value, int) and 0 <= value < 2**63)
            kinds = (int, float) if name in filled else (int, float, type(None))
            if name not in text and not (isinstance(value, kinds) and whole):
                raise StartError(
                    f"{shown(path)} is not what solve.py writes: in row {number} '{name}' is "
                    f"{repr(value)[:200]}, expected a number"
                )
    return rows


def _palette(stored: Any, classes: int) -> np.ndarray:
    from fcn.palette import voc_palette, with_colours

    try:
        colours = np.array(stored if isinstance(stored, list) else [], float)
    except (TypeError, ValueError, OverflowError):
        return voc_palette()
    if colours.shape != (classes, 3) or not np.isfinite(colours).all():
        return voc_palette()
    return with_colours(np.clip(colours, 0, 255).astype(int).tolist())


def _confusion(path: str, classes: int) -> np.ndarray | None:
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding="utf-8", newline="") as f:
            rows = list(csv.reader(f))[1:]
        found = np.array([[int(value) for value in row[1:]] for row in rows], np.int64)
    except (ValueError, OverflowError, csv.Error):
        return None
    return found if found.shape == (classes, classes) else None


def _shown(folder: str, images: list[dict[str, Any]], end: str) -> list[Scored]:
    """The best or the worst images, in their order."""
    found = []
    for row in images:
        place = re.search(end + r"-(\d+)", str(row["pictures"] or ""))
        if place is None:
            continue
        files = [
            os.path.join(folder, f"{end}-{place.group(1)}-{part}")
            for part in ("photo.jpg", "truth.png", "labels.png")
        ]
        if all(os.path.isfile(file) for file in files):
            measures = (row["mean_iu"] or 0, row["overall_accuracy"] or 0)
            found.append((int(place.group(1)), Scored(str(row["image"]), *measures, *files)))
    return [scored for _, scored in sorted(found)]
