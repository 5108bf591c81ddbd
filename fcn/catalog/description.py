"""dataset.json: what data/folder.py says of a dataset, for the data layer, the nets and check.py.

Its keys:

name        of the dataset
classes     how many there are; names and palette (R, G, B) have one entry for each
mean        B, G, R of the training images, 0 to 255
size        height and width of most images
images      how many there are in train and val
layer       the data layer: its module and class, and the param_str of train and val as dicts

Paths in it are relative to the repository, or absolute where they lie outside of it.
"""

from __future__ import annotations

import json
import math
import os
from typing import Any, NamedTuple

import numpy as np

from bootstrap import ROOT
from fcn.atomic import write_text
from fcn.palette import voc_palette

__all__ = [
    "Description",
    "content_of",
    "described_by",
    "read_description",
    "write_description",
]


class Description(NamedTuple):
    """A dataset.json, with classes and palette under the names that datasets' modules have."""

    name: str
    CLASSES: tuple[str, ...]
    PALETTE: np.ndarray
    mean: tuple[float, ...]
    size: tuple[int, int]
    images: dict[str, int]
    layer: dict[str, Any]


def read_description(path: str) -> Description:
    """Read a dataset.json; ValueError says what is wrong with it."""
    with open(path, encoding="utf-8") as file:
        try:
            return described_by(json.load(file))
        except (LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError(f"'{path}' is not what data/folder.py writes: {error!r}") from error


def described_by(content: dict[str, Any]) -> Description:
    """The Description that a dataset.json holds; LookupError, TypeError or ValueError."""
    palette = voc_palette()
    palette[: len(content["palette"])] = content["palette"]
    found = Description(
        content["name"],
        tuple(content["names"]),
        palette,
        tuple(content["mean"]),
        tuple(content["size"]),
        content["images"],
        content["layer"],
    )
    _check(found, content["classes"])
    return found


def _check(found: Description, classes: int) -> None:
    """Raise for what the nets could not be made from, or must not be.

    The data layer is imported by its name: only those in layers/ are, lest a file that came with a
    dataset runs whatever Python finds.
    """
    expect = {
        "name": isinstance(found.name, str),
        "names": len(found.CLASSES) == classes and all(isinstance(n, str) for n in found.CLASSES),
        "mean": len(found.mean) == 3 and all(_is_number(v) for v in found.mean),
        "size": len(found.size) == 2 and all(type(v) is int and v > 0 for v in found.size),
        "images": all(type(found.images[split]) is int for split in ("train", "val")),
        "layer": all(isinstance(found.layer[key], str) for key in ("module", "layer"))
        and all(isinstance(found.layer[key], dict) for key in ("train", "val")),
    }
    for key, fits in expect.items():
        if not fits:
            raise ValueError(f"'{key}' is not of the kind that belongs there")
    module = found.layer["module"]
    files = sorted(os.listdir(os.path.join(ROOT, "layers")))
    known = [file[: -len(".py")] for file in files if file.endswith("_layers.py")]
    if module not in known:
        raise ValueError(f"the data layer's module is {module!r}; there are {', '.join(known)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def content_of(description: Description) -> dict[str, Any]:
    """What its dataset.json holds: `described_by` gives the description again."""
    names = list(description.CLASSES)
    return {
        "name": description.name,
        "classes": len(names),
        "names": names,
        "palette": np.asarray(description.PALETTE)[: len(names)].tolist(),
        "mean": list(description.mean),
        "size": list(description.size),
        "images": description.images,
        "layer": description.layer,
    }


def write_description(path: str, description: Description) -> None:
    """Write a dataset.json, a line for each key."""
    content = content_of(description)
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")
