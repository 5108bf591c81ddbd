"""Experiments of the user's own, each in a folder: experiment.json says how it was made.

It holds the arguments of `plan` by name, as `nets/make.py` takes them on its command line.
"""

import json
import os

import bootstrap
from fcn.catalog.datasets import named
from fcn.catalog.experiment import plan

__all__ = ["FILE", "planned", "portable", "read_folder"]

FILE = "experiment.json"


def planned(folder, arguments):
    """The Experiment of some arguments (see `FILE`), its files in `folder`."""
    dataset, fusion = named(
        arguments["dataset"], arguments.get("classes"), arguments.get("two_stream", False)
    )
    folder = portable(bootstrap.user_path(folder))
    name = os.path.basename(folder)
    return plan(
        dataset,
        arguments["backbone"],
        arguments["stride"],
        name=name,
        fusion=fusion,
        head=arguments.get("head"),
        at_once=arguments.get("at_once", False),
        folder=folder,
    )


def read_folder(folder):
    """The Experiment that was written into a folder; None if there is none."""
    path = os.path.join(bootstrap.user_path(folder), FILE)
    if not os.path.isfile(path):
        return None
    try:
        with open(path, encoding="utf-8") as f:
            return planned(folder, json.load(f))
    except OSError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        message = error.args[0] if isinstance(error, LookupError) and error.args else error
        raise ValueError(f"'{path}' is not what nets/make.py writes: {message}") from error


def portable(path):
    """An absolute path as prototxts have it: relative to the repository if it lies below."""
    inside = os.path.join(bootstrap.ROOT, "")
    return path[len(inside) :].replace(os.sep, "/") if path.startswith(inside) else path
