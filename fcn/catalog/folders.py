"""Experiments of the user's own, each in a folder: experiment.json says how it was made.

It holds the arguments of `plan` by name, as `nets/make.py` takes them on its command line, and
under "record" what its dataset.json said then: names, palette, mean and the pictures' size. So the
net goes on working when the dataset is moved or changed.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import bootstrap
from fcn.catalog.datasets import named, of_description
from fcn.catalog.description import content_of, described_by
from fcn.catalog.experiment import needs_stage, plan
from fcn.catalog.initial import Source

if TYPE_CHECKING:
    from fcn.catalog.experiment import Experiment

__all__ = ["FILE", "planned", "portable", "read_folder", "with_record"]

FILE = "experiment.json"


def planned(folder: str, arguments: dict[str, Any]) -> Experiment:
    """The Experiment of some arguments (see `FILE`), its files in `folder`."""
    classes, after = arguments.get("classes"), arguments.get("after")
    if arguments["dataset"] is None and not (type(classes) is int and 1 <= classes <= 255):
        raise ValueError(f"expected 'classes' from 1 to 255; received {classes!r}")
    if not isinstance(after, (str, type(None))):
        raise ValueError(f"expected 'after' to name a folder; received {after!r}")
    if "record" in arguments:
        found = described_by(arguments["record"])
        dataset, fusion = of_description(arguments["dataset"], found), None
    else:
        dataset, fusion = named(arguments["dataset"], classes, arguments.get("two_stream", False))
    folder = portable(bootstrap.user_path(folder))
    name = os.path.basename(folder)
    init = None
    if needs_stage(
        arguments["backbone"],
        arguments["stride"],
        arguments.get("head"),
        arguments.get("at_once", False),
    ):
        init = _after(after)
    return plan(
        dataset,
        arguments["backbone"],
        arguments["stride"],
        name=name,
        fusion=fusion,
        head=arguments.get("head"),
        at_once=arguments.get("at_once", False),
        init=init,
        folder=folder,
    )


def with_record(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, and what their dataset.json says."""
    name = arguments["dataset"]
    if not (name and name.endswith(".json")):
        return arguments
    dataset, _ = named(name)
    return dict(arguments, record=content_of(dataset.description))


def _after(folder: str | None) -> tuple[Source, ...]:
    """The weights that a finer net starts from: those of the net in `folder`, if one was named."""
    if not folder:
        return (Source((), ""),)
    path = os.path.join(folder, "out", os.path.basename(folder) + ".caffemodel")
    script = bootstrap.typed(os.path.join(bootstrap.ROOT, folder, "solve.py"))
    return (Source(((path, f"made by python {script}"),), ""),)


def read_folder(folder: str) -> Experiment | None:
    """The Experiment that was written into a folder; None if there is none."""
    path = os.path.join(bootstrap.user_path(folder), FILE)
    if not os.path.isfile(path):
        return None
    try:
        with open(path, encoding="utf-8") as f:
            return planned(folder, json.load(f))
    except OSError:
        raise
    except (
        *(LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError),
    ) as error:
        message = error.args[0] if isinstance(error, LookupError) and error.args else error
        raise ValueError(f"'{path}' is not what nets/make.py writes: {message}") from error


def portable(path: str) -> str:
    """An absolute path as prototxts have it: relative to the repository if it lies below."""
    inside = os.path.join(bootstrap.ROOT, "")
    return path[len(inside) :].replace(os.sep, "/") if path.startswith(inside) else path
