"""Checks of all the images and labels that a data layer, or two folders, would give a net."""

import importlib
import os
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from data.preparing import masks as mask_files
from data.preparing.colours import IGNORE
from data.preparing.report import Report
from data.preparing.survey import Survey
from segdata.errors import DataError
from segdata.images import open_image

__all__ = ["Labels", "check_entries", "check_layer", "plain"]

#: Problems that are told one by one.
TOLD = 10

#: Keys of param_str that change what a layer serves of a file, or in which order.
UNWANTED = (
    "batch_size",
    "mirror",
    "scale",
    "crop",
    "balance",
    "light",
    "color",
    "cache",
    "workers",
    "randomize",
)


class Labels(NamedTuple):
    """One kind of label: the layer's top, how many classes it has (None: unknown), their names."""

    top: str
    classes: object
    names: object


class _Top:
    """What a data layer writes to outside of a net."""

    data = None

    def reshape(self, *shape):
        self.data = np.empty(shape, np.float32)


def plain(params: dict) -> dict:
    """``params`` without what changes how a file is served."""
    return {key: value for key, value in params.items() if key not in UNWANTED}


def make_layer(module: str, name: str, params: dict, tops: list):
    """A data layer that serves its entries one by one and in order, and its tops by name."""
    kind = getattr(importlib.import_module(module), name, None)
    if not (isinstance(kind, type) and hasattr(kind, "setup")):
        raise DataError(f"{module}.py has no data layer {name!r}")
    layer: Any = kind.__new__(kind)  # type: ignore[call-overload]
    layer.param_str = repr(dict(plain(params), randomize=False))
    blobs = {top: _Top() for top in tops}
    layer.setup([], list(blobs.values()))
    return layer, blobs


def check_layer(
    title: str,
    module: str,
    name: str,
    params: dict,
    inputs: list,
    labels: list,
    report: Report,
    limit: int = 0,
) -> list:
    """Check all that a data layer serves; the Survey of each of ``labels``."""
    try:
        layer, blobs = make_layer(module, name, params, inputs + [kind.top for kind in labels])
    except DataError as error:
        report.problem(f"{title}: {error}")
        return []

    def serve(index):
        if layer.position != index:
            layer.seek(index)
        tops = list(blobs.values())
        layer.reshape([], tops)
        layer.forward([], tops)
        for top in inputs:
            _check_finite(top, blobs[top].data, layer.entries[index][0])
        return [blobs[kind.top].data[0, 0].astype(np.uint8) for kind in labels]

    return check_entries(title, layer.entries, serve, labels, report, limit)


def _check_finite(top: str, values: np.ndarray, file: str) -> None:
    """A depth of 0, say, has no logarithm, and a net that is given it learns nothing any more."""
    bad = ~np.isfinite(values[0]).all(axis=0)
    if bad.any():
        y, x = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"'{file}' gives {values[0, :, y, x].tolist()} in '{top}' at x={x}, y={y} "
            f"({int(bad.sum())} pixels that are no finite numbers)"
        )


def check_entries(
    title: str, entries: list, serve, labels: list, report: Report, limit: int = 0
) -> list:
    """Check entries, tuples of files; ``serve(index)`` gives their label maps or a DataError.

    ``limit`` of them are taken, evenly over all; 0: all.
    """
    before = len(report.problems)
    surveys = [Survey(kind.classes, kind.names) for kind in labels]
    kinds: Counter = Counter()
    doubtful, bad, in_colours, turned = [], [], None, []
    count = min(limit, len(entries)) if limit else len(entries)
    for index in (i * len(entries) // count for i in range(count)):
        mask = entries[index][1] if len(entries[index]) == 2 else ""
        try:
            kind, doubt = _kind(mask)
            kinds[kind] += 1
            if doubt:
                doubtful.append(f"'{mask}' {doubt}")
            if mask_files.is_turned(entries[index][0]):
                turned.append(entries[index][0])
            if kind.endswith("RGB"):
                in_colours = in_colours or mask
            for survey, label in zip(surveys, serve(index)):
                survey.add(label, mask or entries[index][0])
        except DataError as error:
            bad.append(str(error))
    print(
        f"{title}: {count} of {len(entries)} images, "
        + (surveys[0].size_text() if surveys[0].sizes else "none of them readable")
    )
    if any(kinds):
        print("  masks: " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common() if kind))
    for kind, survey in zip(labels, surveys):
        heading = [f"  {kind.top}"] if len(labels) > 1 else []
        print("\n".join(heading + ["  " + line for line in survey.table()]))
        _judge(f"{title}, {kind.top}" if len(labels) > 1 else title, kind, survey, report)
    for text in bad[:TOLD]:
        report.problem(f"{title}: {text}")
    if len(bad) > TOLD:
        report.problem(f"{title}: and {len(bad) - TOLD} more of {count} images are bad")
    if turned:
        report.note(f"{title}: {mask_files.turned_text(turned)}")
    if doubtful:
        report.note(f"{title}: {len(doubtful)} masks are doubtful, the first: {doubtful[0]}")
    if in_colours:
        report.note(
            "colours of '{}': {}; 'python data/folder.py --rgb FILE' converts such masks".format(
                in_colours,
                ", ".join(
                    f"{colour} {share:.1f} %" for colour, share in mask_files.colours_in(in_colours)
                ),
            )
        )
    if len(report.problems) == before:
        report.did(f"{title}: {count} images and labels are fine")
    return surveys


def _kind(path: str) -> tuple:
    """Format and mode of a mask's file ("" where it is no image or unreadable), and any doubt."""
    if not path or path.endswith(".mat") or not os.path.isfile(path):
        return (".mat" if path.endswith(".mat") else ""), None
    try:
        with open_image(path, "mask", decode=False) as image:
            return f"{image.format} {image.mode}", mask_files.suspicious(path)
    except DataError:
        return "", None  # reading it will say why


def _judge(title: str, kind: Labels, survey: Survey, report: Report) -> None:
    """What the counts show: labels that are doubtful as a whole."""
    if not survey.sizes:
        return
    if survey.empty:
        report.note(
            f"{title}: {len(survey.empty)} images have no pixel that counts, the first: "
            f"'{survey.empty[0]}'"
        )
    if kind.classes is None:
        present = survey.present()
        if present == [0] and survey.pixels[IGNORE]:
            report.problem(
                f"{title}: the masks hold only 0 and 255, and 255 is what does not "
                "count; if it is the foreground, 'python data/folder.py --values 0,255' "
                "makes it class 1"
            )
        elif present:
            report.note(
                f"{title}: the highest label is {present[-1]}, so there seem to be "
                f"{present[-1] + 1} classes; --classes says how many there are"
            )
        if present and present[-1] >= len(present) + 8:
            report.note(
                f"{title}: {present[-1] + 1 - len(present)} labels below the highest do "
                "not occur: are these class numbers?"
            )
    elif survey.absent():
        report.note(
            f"{title}: nothing is labelled {', '.join(survey.absent()[:TOLD])}"
            + (" …" if len(survey.absent()) > TOLD else "")
        )
