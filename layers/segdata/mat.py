"""Labels in MATLAB's MAT files, version 5."""

import os

import numpy as np
import scipy.io

from segdata.errors import DataError

__all__ = ["load_mat", "read_sbd_label"]


def load_mat(path: str, *fields: str) -> np.ndarray:
    """A variable of a MAT file, or a field of its first struct: ``load_mat(p, "GTcls", "Size")``.

    DataError names the file and what was looked for in it.
    """
    if not os.path.isfile(path):
        raise DataError(f"missing label: no file '{os.path.abspath(path)}'")
    try:
        value = scipy.io.loadmat(path, variable_names=[fields[0]])[fields[0]]
        for field in fields[1:]:
            value = value[0][field][0]
        return np.asarray(value)
    # SciPy reports a damaged file by whatever its parser runs into, zlib.error among them.
    except Exception as error:
        raise DataError(
            "cannot read {} in the label '{}': {!r}".format(".".join(fields), path, error)
        ) from error


def read_sbd_label(path: str, kind: str = "cls") -> np.ndarray:
    """The map in one of SBD's MAT files: uint8 (H, W), classes or ("inst") numbers of objects."""
    return load_mat(path, "GT" + kind, "Segmentation").astype(np.uint8)
