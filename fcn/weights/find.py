"""Which file an experiment's weights are read from: one search for infer.py, score.py, solve.py.

Imports no `caffe`. Places are (path, where it comes from), best first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import bootstrap
from bootstrap import shown
from fcn.catalog.initial import PUBLISHED
from fcn.weights.table import by_file

if TYPE_CHECKING:
    from fcn.catalog.experiment import Experiment

__all__ = ["MissingWeights", "find", "out_of", "trained", "trained_of"]

#: The folder of results, unless the user names another.
OUT = os.path.join(bootstrap.HOME, "out")


class MissingWeights(RuntimeError):
    """No such file; the message says which file goes where."""


def trained(name: str, out: str = OUT) -> list[tuple[str, str]]:
    """The places of an experiment's trained weights: this user's, the repository's, published.

    Of this user's, those that were best on val come before the last ones.
    """
    made = f"made by python nets/{name}/solve.py"
    places = [
        (os.path.join(out, name + "-best.caffemodel"), made),
        (os.path.join(out, name + ".caffemodel"), made),
        (f"nets/{name}/{name}.caffemodel", "next to the net, as shipped for voc-fcn4s-lite0"),
    ]
    if name in PUBLISHED:
        places.append((f"nets/{name}/{PUBLISHED[name]}", f"the published {name}"))
    return places


def out_of(experiment: Experiment) -> str:
    """The folder of an experiment's results, unless the user names another.

    Of a net of the user's own it is beside its prototxts, so that every command finds it there.
    """
    return os.path.join(bootstrap.ROOT, experiment.folder, "out") if experiment.folder else OUT


def trained_of(experiment: Experiment, out: str | None = None) -> list[tuple[str, str]]:
    """`trained`, for a net of the user's own as well."""
    out = out or out_of(experiment)
    if not experiment.folder:
        return trained(experiment.name, out)
    folder = os.path.join(bootstrap.ROOT, experiment.folder)
    made = "made by python " + shown(os.path.join(folder, "solve.py"))
    files = [experiment.name + "-best.caffemodel", experiment.name + ".caffemodel"]
    return [(os.path.join(out, file), made) for file in files] + [
        (os.path.join(folder, files[1]), "next to the net")
    ]


def find(places: Iterable[tuple[str, str]], given: str | None, why: str) -> str:
    """`given`, or else the first of the places that has a file.

    Relative paths are relative to the repository root, or to bootstrap.HOME. Raises
    MissingWeights; `why` begins its message: what for weights are needed.
    """
    if given:
        if not os.path.isfile(given):
            raise MissingWeights(f"no such file: --weights {shown(given)}")
        return given
    for path, _ in places:
        for candidate in (path, os.path.join(bootstrap.HOME, path)):
            if os.path.isfile(candidate):
                return candidate
    if not places:
        raise MissingWeights(f"{why}: name the file by --weights")
    files = [shown(os.path.join(bootstrap.HOME, path)) for path, _ in places]
    width = max(len(file) for file in files)
    lines = [f"  {file:<{width}}  {origin}" for file, (_, origin) in zip(files, places)]
    known = [by_file(path) for path, _ in places]
    lines += [
        f"`python nets/weights.py {entry.name}` gets {os.path.basename(entry.file)}"
        for entry in known
        if entry
    ]
    raise MissingWeights(
        f"{why}. Put one of these in place, or name a file by --weights:\n" + "\n".join(lines)
    )
