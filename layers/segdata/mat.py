"""Labels in MATLAB's MAT files, version 5; some number their classes from 1."""

import os

import numpy as np

from segdata.errors import DataError
from segdata.images import IGNORE
from segdata.matfile import MatError, field, value, variables

__all__ = ["load_mat", "read_from_one", "read_sbd_label"]


def load_mat(path: str, *fields: str) -> np.ndarray:
    """A variable of a MAT file, or a field of its first struct: ``load_mat(p, "GTcls", "Size")``.

    DataError names the file and what was looked for in it.
    """
    if not os.path.isfile(path):
        raise DataError(f"missing label: no file '{os.path.abspath(path)}'")
    try:
        with open(path, "rb") as file:
            found = next((v for v in variables(file.read()) if v.name == fields[0]), None)
        if found is None:
            raise MatError(f"there is no '{fields[0]}' in it")
        for name in fields[1:]:
            found = field(found, name)
        result = value(found)
        if not isinstance(result, np.ndarray):
            raise MatError(f"expected {fields[-1]} to be a matrix of numbers")
        return result
    except (MatError, OSError) as error:
        raise DataError(f"cannot read {'.'.join(fields)} in the label '{path}': {error}") from error


def read_sbd_label(path: str, kind: str = "cls") -> np.ndarray:
    """The map in one of SBD's MAT files: uint8 (H, W), classes or ("inst") numbers of objects."""
    label = load_mat(path, "GT" + kind, "Segmentation")
    fits = label.ndim == 2 and label.dtype.kind in "iuf"
    if not (fits and ((label >= 0) & (label <= 255)).all()):
        raise DataError(
            f"label '{path}': expected GT{kind}.Segmentation to be a matrix of numbers from 0 to "
            f"255; received {label.dtype} {label.shape}"
        )
    return label.astype(np.uint8)


def read_from_one(path: str, variable: str, classes: int, void: tuple[int, ...] = (0,)):
    """``variable`` of a MAT file, 1 to ``classes``, as 0 to ``classes`` - 1: uint8 (H, W).

    The numbers in ``void`` become 255.  DataError names a pixel with any other.
    """
    raw = load_mat(path, variable)
    if raw.ndim != 2 or raw.dtype.kind not in "biuf":
        raise DataError(
            f"label '{path}': expected {variable} to be a matrix of numbers (height, "
            f"width); received {raw.dtype} {raw.shape}"
        )
    empty = np.isin(raw, void)
    bad = ~empty & ((raw < 1) | (raw > classes) | (raw != np.floor(raw)))
    if bad.any():
        y, x = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            "label '{}' holds {} at x={}, y={} ({} pixels); expected 1 to {}, or {} "
            "for pixels without a class".format(
                path,
                raw[y, x],
                x,
                y,
                np.count_nonzero(bad),
                classes,
                " or ".join(str(value) for value in void),
            )
        )
    return np.where(empty, IGNORE, raw - 1).astype(np.uint8)
