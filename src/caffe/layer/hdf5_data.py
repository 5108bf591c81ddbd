"""HDF5Data: batches of rows from HDF5 files."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe import rng
from caffe.errors import DataError, Error, LayerError
from caffe.hdf5_files import check_regular, find
from caffe.layer import Layer, Need, Shape, register
from caffe.rank import solver_count, solver_rank
from caffe.rng import shuffled

if TYPE_CHECKING:
    import h5py

    from caffe.blob import Blob

TEST = 1
SHARED_SEED = 1  # of the order that several solvers shuffle alike


@register("HDF5Data")
class HDF5Data(Layer):
    """Rows of the datasets that have the tops' names, ``batch_size`` at a time.

    ``hdf5_data_param.source`` is a text file that lists HDF5 files, separated by white space and
    relative to the working directory.  Rows run on from file to file and start over at the end;
    one file at a time is in memory.  Integers and double precision become float32.

    With ``shuffle`` the order of the files, and of the rows within each, is drawn anew in every
    round.  BVLC draws it from C's ``rand()``, which ``random_seed`` does not reach; here it comes
    from Caffe's stream, so that a seed repeats it.  In training by several solvers row r of the
    running count belongs to solver r mod count.  They must then agree on the order, so it comes
    from a stream of its own, the same in every solver.

    Tops: (batch_size, rest of the dataset's shape).
    """

    graphable = False
    bottoms = 0
    tops = (1, None)
    _row: int  # of the file in memory, in the order ``_row_order``
    _row_order: np.ndarray

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        p = self.param.hdf5_data_param
        if self.param.HasField("transform_param"):
            raise self.fail("does not transform data: remove transform_param", LayerError)
        if p.batch_size < 1:
            raise self.fail(f"batch_size must be positive, got {p.batch_size}", LayerError)
        self.batch_size = p.batch_size
        self._shared = rng.Generator(SHARED_SEED)
        self.files = self._read_list(p.source)
        self._file_order = self._order(len(self.files))
        self._file = 0
        self._offset = 0  # rows passed since the start, by all solvers
        self._open_file(self._file_order[0], None)
        for blob, rows in zip(top, self._rows):
            blob.set_dims((self.batch_size, *rows.shape[1:]))

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing: the shapes are fixed."""

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        values = [np.empty(blob.dims, np.float32) for blob in top]
        count, rank = solver_count(), solver_rank()
        shapes = [blob.dims for blob in top]
        for i in range(self.batch_size):
            while self.phase != TEST and self._offset % count != rank:
                self._skip_row(shapes)
            self._enter_row(shapes)
            row = self._row_order[self._row]
            for array, rows in zip(values, self._rows):
                array[i] = rows[row].reshape(array.shape[1:])
            self._skip_row(shapes)
        for blob, array in zip(top, values):
            blob.set_host_data(array)

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Nothing below this layer."""

    # Where in the files ---------------------------------------------------------------------------

    def _skip_row(self, shapes: Sequence[Shape]) -> None:
        self._enter_row(shapes)
        self._row += 1
        self._offset += 1

    def _enter_row(self, shapes: Sequence[Shape]) -> None:
        """Where the file in memory is used up, go on with the next, or again with the only one."""
        if self._row < len(self._row_order):
            return
        if len(self.files) == 1:
            self._row, self._row_order = 0, self._order(len(self._row_order))
            return
        following = self._file + 1
        order = self._file_order
        if following == len(self.files):
            following, order = 0, self._order(len(self.files))
        self._open_file(order[following], shapes)
        self._file, self._file_order = following, order

    def _order(self, count: int) -> np.ndarray:
        """The numbers below ``count`` in the order in which they are used."""
        if not self.param.hdf5_data_param.shuffle:
            return np.arange(count)
        shared = self.phase != TEST and solver_count() > 1
        return shuffled(np.arange(count), self._shared if shared else rng.get())

    # Reading --------------------------------------------------------------------------------------

    def _read_list(self, source: str) -> list[str]:
        try:
            with open(source, "rb") as stream:
                if stream.read(8) == b"\x89HDF\r\n\x1a\n":
                    raise self.fail(
                        f"source '{source}' is an HDF5 file: expected a text file that lists HDF5 "
                        "files, one path a line",
                        DataError,
                    )
            with open(source, encoding="utf-8", errors="surrogateescape") as stream:
                files = stream.read().split()
        except OSError as error:
            raise self.fail(
                f"Failed to open source file '{source}', the list of HDF5 files: {error}",
                DataError,
            ) from error
        if not files:
            raise self.fail(
                f"source file '{source}' lists no HDF5 file: write one path a line", DataError
            )
        return files

    def _open_file(self, number: int, shapes: Sequence[Shape] | None) -> None:
        """Bring a file into memory; ``shapes`` are the tops' where they are fixed already."""
        import h5py  # here: the first net of a process loads every layer's file, h5py takes 0.1 s

        path = self.files[number]
        try:
            check_regular(path)
            with h5py.File(path, "r") as file:
                found = [self._dataset(file, path, name) for name in self.param.top]
                self._check(path, found, shapes)
                rows = [_as_float(dataset) for dataset in found]
        except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:
            if isinstance(error, Error):
                raise
            raise self.fail(
                f"Failed opening HDF5 file '{path}' (in directory {os.getcwd()}): {error}",
                DataError,
            ) from error
        self._rows = rows
        self._row, self._row_order = 0, self._order(len(rows[0]))

    def _dataset(self, file: h5py.File, path: str, name: str) -> Any:
        import h5py

        found = find(file, name)
        if not isinstance(found, h5py.Dataset):
            raise self.fail(
                f"Failed to find HDF5 dataset '{name}' in '{path}', which has "
                f"{', '.join(sorted(file)) or 'none'}: a top is read from the dataset of its name",
                DataError,
            )
        if found.dtype.kind not in "fiu":
            raise self.fail(
                f"dataset '{name}' in '{path}' holds {found.dtype}, expected numbers", DataError
            )
        return found

    def _check(self, path: str, found: Sequence[Any], shapes: Sequence[Shape] | None) -> None:
        counts = {d.shape[0] if d.shape else 0 for d in found}
        if len(counts) > 1 or 0 in counts:
            raise self.fail(
                f"the datasets of '{path}' must have the same number of rows, at least one: "
                + ", ".join(f"'{n}' has shape {d.shape}" for n, d in zip(self.param.top, found)),
                DataError,
            )
        for name, dataset, shape in zip(self.param.top, found, shapes or ()):
            if math.prod(dataset.shape[1:]) != math.prod(shape[1:]):
                raise self.fail(
                    f"dataset '{name}' in '{path}' has rows of shape {dataset.shape[1:]}, those "
                    f"of the first file are {shape[1:]}",
                    DataError,
                )


def _as_float(dataset: Any) -> np.ndarray:
    with np.errstate(over="ignore"):  # beyond float32's range is infinite, as HDF5 converts it
        return dataset[()].astype(np.float32, copy=False)
