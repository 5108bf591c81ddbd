"""The MATLAB files of MatWrite and MatRead: one array `data`, its axes in MATLAB's order."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from caffe.atomic import atomic_path
from caffe.errors import DataError, Error


def names(source: str, strip: int) -> list[str]:
    """The first word of each line of a list, without its last ``strip`` characters.

    Raises:
        DataError: the list cannot be read, is empty, or a word is not longer than ``strip``.
    """
    try:
        with open(source, encoding="utf-8", errors="surrogateescape") as stream:
            words = [line.split()[0] for line in stream if line.strip()]
    except OSError as error:
        raise DataError(
            f"cannot read the list {source}: {error.strerror or error} (working directory "
            f"{os.getcwd()}); expected a name a line"
        ) from error
    if not words:
        raise DataError(f"{source}: no names in it")
    for word in words:
        if len(word) <= strip:
            raise DataError(f"{source}: the name {word!r} is not longer than strip {strip}")
    return [word[: len(word) - strip] for word in words]


def write(path: str, values: np.ndarray) -> None:
    """``values`` of 4 axes, N x C x H x W, as `data`, W x H x C x N for MATLAB; single precision.

    Raises:
        DataError: the file cannot be written.
    """
    from scipy import io  # here, as below: it takes longer to import than the rest of caffe

    try:
        with atomic_path(path) as temporary, open(temporary, "wb") as stream:
            io.savemat(stream, {"data": np.asarray(values, np.float32).T}, format="5")
    except (OSError, Error) as error:
        raise DataError(f"cannot write {path}: {error}") from error


def read(path: str) -> np.ndarray:
    """`data` of a file as :func:`write` leaves it: float32, N x C x H x W.

    Raises:
        DataError: it cannot be read, is of another kind, or holds something else.
    """
    from scipy import io

    try:
        found = io.loadmat(path, variable_names=["data"])
    except Exception as error:  # scipy raises whatever its parser stumbles over
        raise DataError(
            f"cannot read {path}: {error}. Expected a MATLAB file of version 4 to 7"
        ) from error
    values = found.get("data")
    if values is None or values.dtype.kind not in "fiu" or values.ndim > 4:
        got = "no such array" if values is None else f"{values.dtype} {values.shape}"
        raise DataError(f"{path}: expected an array `data` of numbers with up to 4 axes, got {got}")
    return np.ascontiguousarray(values.reshape(four(values.shape, last=True)).T, np.float32)


def four(shape: Sequence[int], last: bool = False) -> tuple[int, ...]:
    """A shape of 4 axes: ones before it, or behind it."""
    ones = (1,) * (4 - len(shape))
    return (*shape, *ones) if last else (*ones, *shape)
