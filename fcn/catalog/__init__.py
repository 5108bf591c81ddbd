"""The table of experiments: dataset × backbone × stride × head × initial weights × solver.

One row gives one folder in `nets/` and one solver in `solvers/`; `python nets/make.py` writes both.
All paths are relative to the repository root. Nothing here imports `caffe`.
"""

from __future__ import annotations

import difflib
import os

import bootstrap
from fcn.catalog.backbones import BACKBONES
from fcn.catalog.dataset import IGNORE
from fcn.catalog.experiment import Experiment, plan
from fcn.catalog.folders import FILE, read_folder
from fcn.catalog.heads import HEADS
from fcn.catalog.initial import PUBLISHED
from fcn.catalog.rows import EXPERIMENTS

__all__ = [
    "BACKBONES",
    "EXPERIMENTS",
    "HEADS",
    "IGNORE",
    "PUBLISHED",
    "Experiment",
    "enter",
    "experiment",
    "net_path",
    "plan",
    "solver_path",
]

#: Those that were read from folders of the user's, by name.
_FOLDERS: dict[str, Experiment] = {}


def experiment(name: str) -> Experiment:
    """One row of the table, or what `nets/make.py --out` wrote into the folder `name`.

    LookupError names the known rows.
    """
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    if name in _FOLDERS:
        return _FOLDERS[name]
    found = read_folder(name)
    if found is None:
        if name.endswith((".caffemodel", ".h5", ".prototxt", "solve.py")):
            raise LookupError(
                f"'{name}' is a file: expected a net's name or folder. Other weights than its best "
                "are given by --weights FILE."
            )
        known = [*_nets_beside(name), *EXPERIMENTS]
        near = difflib.get_close_matches(os.path.basename(os.path.normpath(name)), known, 3)
        guess = f"; is {' or '.join(near)} meant?" if near else "."
        raise LookupError(
            f"no experiment {name!r} in fcn/catalog{guess} There are {', '.join(EXPERIMENTS)}; "
            "and there is no folder of that name that nets/make.py --out wrote"
        )
    return enter(found)


def _nets_beside(name: str) -> list[str]:
    """The folders of nets that lie where the folder `name` would."""
    parent = os.path.dirname(bootstrap.user_path(name))
    try:
        found = os.listdir(parent)
    except OSError:
        return []
    return [folder for folder in found if os.path.isfile(os.path.join(parent, folder, FILE))]


def enter(row: Experiment) -> Experiment:
    """Make an experiment of the user's known by its name; returns it.

    LookupError if a row of the table is called so.
    """
    if row.name in EXPERIMENTS:
        raise LookupError(
            f"the folder '{row.folder}' is called as a row of fcn/catalog is, "
            f"'{row.name}'; choose another name for it"
        )
    _FOLDERS[row.name] = row
    return row


def net_path(name: str, phase: str) -> str:
    """nets/<experiment>/<file>.prototxt; the phase is "train", "val" or "deploy".

    The files of train and val are called as the dataset's splits are: trainval and test for some.
    """
    row = experiment(name)
    files = dict(zip(("train", "val"), row.dataset.files))
    return f"{row.folder or 'nets/' + name}/{files.get(phase, phase)}.prototxt"


def solver_path(name: str) -> str:
    """solvers/<experiment>.prototxt, or the solver.prototxt of a folder."""
    row = experiment(name)
    return f"{row.folder}/solver.prototxt" if row.folder else f"solvers/{name}.prototxt"
