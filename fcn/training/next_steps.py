"""The commands that go on from a finished run, as they would be typed here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import bootstrap
from bootstrap import typed
from fcn.weights import find

if TYPE_CHECKING:
    from fcn.catalog.experiment import Experiment

__all__ = ["commands"]


def commands(
    experiment: Experiment, out: str, best: str, folder: str, data: Sequence[str] | None
) -> list[str]:
    """Score it, label a photo with it (where its dataset has photos), report on it.

    out: where the run wrote to. best: its best weights. folder: its own folder, as it is shown.
    data: the folders that it was given.
    """
    net = experiment.name
    if experiment.folder:
        net = typed(os.path.join(bootstrap.ROOT, experiment.folder))
    given = "".join(f" {typed(path)}" for path in data or ())
    usual = out == find.out_of(experiment)
    elsewhere = "" if usual else f" --out {typed(out)}"
    weights = "" if usual else f" --weights {typed(best)}"

    def script(name: str) -> str:
        return "python " + typed(os.path.join(bootstrap.ROOT, name))

    found = [f"{script('score.py')} {net}{' --data' + given if given else ''}{elsewhere}"]
    if experiment.dataset.photo:
        found.append(f"{script('infer.py')} photo.jpg --net {net}{weights}")
    return [*found, f"{script('report.py')} {shlex.quote(folder)}"]
