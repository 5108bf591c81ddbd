"""Labels in MAT files that number their classes from 1, with other numbers for pixels without."""

import numpy as np

from segdata.errors import DataError
from segdata.images import IGNORE
from segdata.mat import load_mat

__all__ = ["read_from_one"]


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
