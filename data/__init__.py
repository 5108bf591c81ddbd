"""Datasets: class names, palettes, and preparation from what the user has.

A dataset's module has ``CLASSES``, the names in the order of the net's output channels, and
``PALETTE``, uint8 (256, 3), the RGB colour of each label; the last, 255, is that of ignored pixels.
"""

import importlib
from collections import namedtuple
from typing import Any

import bootstrap  # noqa: F401  finds segdata, which reads files here as for the nets
from fcn.catalog.datasets import NAMED

__all__ = ["DATASETS", "dataset", "names_of"]

#: Those that the catalog names; each has a module here.
DATASETS = tuple(sorted(NAMED))


def dataset(name: str):
    """The module of the dataset ``name``, one of DATASETS, or the description in a dataset.json.

    Either has CLASSES and PALETTE.
    """
    if name.endswith(".json"):
        return importlib.import_module("fcn.catalog.description").read_description(name)
    if name not in DATASETS:
        raise LookupError(
            "no dataset '{}' in data/; there are {}, and any dataset.json that "
            "data/folder.py made".format(name, ", ".join(DATASETS))
        )
    return importlib.import_module("data." + name)


def names_of(described: Any) -> Any:
    """CLASSES and PALETTE of a dataset of fcn/catalog: `dataset` of its name.

    A folder of which only the number of classes was said has numbers for names.
    """
    if described.description is not None:
        return described.description
    if described.name != "folder":
        return dataset(described.name)
    Numbered = namedtuple("Numbered", "CLASSES PALETTE")
    palette = importlib.import_module("fcn.palette").voc_palette()
    return Numbered(tuple("class " + str(i) for i in range(described.classes)), palette)
