"""PASCAL-Context's labels: 459 raw classes in MAT files, of which 59 are told apart by name."""

import difflib
import os

import numpy as np

from segdata.errors import DataError
from segdata.mat import load_mat

__all__ = ["ALL_NAMES", "TASK_NAMES", "class_map", "read_context_label", "read_names"]

#: The lists that come with the dataset, of raw classes and of those to tell apart; lines are
#: ``number: name``.
ALL_NAMES, TASK_NAMES = "labels.txt", "59_labels.txt"

#: Names of the short list that are spelt otherwise in the long one.
SPELLINGS = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}


def read_names(path: str) -> list[str]:
    """The names of a list, spaces removed, in the order of their numbers, from 1.

    A background that is numbered 0 is left out: it is no raw class.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line for line in file if line.strip()]
    except OSError as error:
        raise DataError(
            f"cannot read the list of names '{os.path.abspath(path)}' "
            f"({error.strerror}); 'python data/pascalcontext.py' says what of "
            "PASCAL-Context is missing"
        ) from error
    names: list[str] = []
    for line in lines:
        number, _, name = line.partition(":")
        name = "".join(name.split())
        if number.strip() == "0":
            continue
        if not name or number.strip() != str(len(names) + 1):
            raise DataError(
                f"'{path}': expected '{len(names) + 1}: name' in the next line; "
                f"received {line.strip()!r}"
            )
        names.append(name)
    return names


def class_map(folder: str) -> np.ndarray:
    """uint8 (1 + raw classes): the trained class of each raw value, 0 for all that have none."""
    path = os.path.join(folder, ALL_NAMES)
    names = read_names(path)
    classes = np.zeros(len(names) + 1, np.uint8)
    for number, name in enumerate(read_names(os.path.join(folder, TASK_NAMES)), 1):
        name = SPELLINGS.get(name, name)
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            raise DataError(
                "'{}' has no '{}', which {} names{}".format(
                    path, name, TASK_NAMES, f"; is '{near[0]}' meant?" if near else ""
                )
            )
        classes[1 + names.index(name)] = number
    return classes


def read_context_label(path: str, classes: np.ndarray) -> np.ndarray:
    """The label map in a MAT file (``LabelMap``) as trained classes: uint8 (H, W)."""
    raw = load_mat(path, "LabelMap")
    if raw.ndim != 2:
        raise DataError(f"label '{path}': expected LabelMap to be a matrix; received {raw.shape}")
    bad = ~((raw >= 0) & (raw < len(classes)) & (raw == np.floor(raw)))
    if bad.any():
        y, x = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"label '{path}' holds {raw[y, x]} at x={x}, y={y}; expected raw classes "
            f"0 to {len(classes) - 1}"
        )
    return classes[raw.astype(np.intp)]
