"""What infer.py writes of an image, and what it says: lines for people, an object for programs."""

import argparse
import os
from typing import Any

import bootstrap
from fcn.inference.inputs import Job
from fcn.inference.labelling import Labelled
from fcn.inference.loading import Loaded
from fcn.inference.pictures import LEAST, beside, overlay, with_legend
from fcn.inference.probabilities import save_probabilities
from fcn.palette import save_atomic, save_label_png

__all__ = ["lines", "record", "write"]

QUALITY = 92  # of JPEGs


def write(
    job: Job, done: Labelled, loaded: Loaded, options: argparse.Namespace
) -> tuple[list[str], Any]:
    """Write the files of an image; returns their paths and the first head's overlay."""
    os.makedirs(os.path.dirname(job.target), exist_ok=True)
    files, first = [], None
    for number, (head, label) in enumerate(zip(loaded.heads, done.labels)):
        target = f"{job.target}_{head.prefix}" if head.prefix else job.target
        save_label_png(target + "_label.png", label, head.palette)
        background = 0 if head.names[0] == "background" else -1
        picture = overlay(done.pixels, label, head.palette, background, options.opacity)
        shown = with_legend(picture, label, head.names, head.palette)
        save_atomic(shown, target + "_overlay.jpg", "JPEG", quality=QUALITY)
        files += [target + "_label.png", target + "_overlay.jpg"]
        if options.side_by_side:
            side = target + "_side.jpg"
            save_atomic(beside(done.pixels, shown), side, "JPEG", quality=QUALITY)
            files.append(side)
        if done.probabilities:
            path = target + "_probabilities.npz"
            size = label.shape
            save_probabilities(path, done.probabilities[number], head.names, size)
            files.append(path)
        first = shown if first is None else first
    return files, first


def lines(where: str, done: Labelled, loaded: Loaded, files: list[str]) -> list[str]:
    """What is printed of an image."""
    height, width = done.pixels.shape[:2]
    scaled = ""
    if done.size != (height, width):
        scaled = f", labelled at {done.size[1]}x{done.size[0]}"
    told = [f"{where}: {done.note}"] if done.note else []
    told.append(f"{where}: {width}x{height}{scaled}")
    if done.several > 1:
        told.append(f"  the first of {done.several} pictures in this file; the others are left out")
    if done.nothing:
        told.append("  mostly background: nothing here that this net knows, as far as it can tell")
    for found in done.found:
        for one in found:
            value = f"{one.share:6.1%}" if one.share >= LEAST else f"{f'<{LEAST:.1%}':>6}"
            told.append(f"  {value}  {one.name}")
    told += [f"  wrote {text}" for text in _short(files)]
    return told


def _short(files: list[str]) -> list[str]:
    """Files of one beginning in a line: "a_label.png, _overlay.jpg"."""
    grouped: dict[str, list[str]] = {}
    for path in files:
        stem, _, ending = path.rpartition("_")
        grouped.setdefault(stem, []).append("_" + ending)
    return [
        bootstrap.shown(stem) + endings[0] + "".join(f" and {more}" for more in endings[1:])
        for stem, endings in grouped.items()
    ]


def record(
    where: str, done: Labelled, loaded: Loaded, files: list[str], seconds: float
) -> dict[str, Any]:
    """What ``--json`` prints of an image."""

    def classes(found: Any) -> list[dict[str, Any]]:
        return [
            {"number": f.number, "name": f.name, "pixels": f.pixels, "share": round(f.share, 6)}
            for f in found
        ]

    height, width = done.pixels.shape[:2]
    return {
        "file": where,
        "width": width,
        "height": height,
        "labelled_at": [done.size[1], done.size[0]],
        "tiles": done.tiles,
        "pictures_in_file": done.several,
        "mostly_background": done.nothing,
        "classes": classes(done.found[0]),
        "heads": {
            head.prefix: classes(found) for head, found in zip(loaded.heads[1:], done.found[1:])
        },
        "files": [bootstrap.shown(path) for path in files],
        "seconds": round(seconds, 3),
    }
