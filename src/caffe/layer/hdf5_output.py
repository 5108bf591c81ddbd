"""HDF5Output: two bottoms written to a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from caffe import hdf5_files
from caffe.errors import DataError, LayerError, ShapeError, WeightsError
from caffe.layer import Layer, Need, register

if TYPE_CHECKING:
    import h5py

    from caffe.blob import Blob

DATASETS = ("data", "label")


@register("HDF5Output")
class HDF5Output(Layer):
    """Writes its bottoms to the datasets ``data`` and ``label`` of ``hdf5_output_param.file_name``.

    The file is made anew when the net is built.  Each forward pass appends its items, so after n
    passes the datasets have n·N rows; BVLC writes one pass and aborts on the second.  Between
    passes the file is closed: it can be read at any time.

    Bottoms: two of equal first axis and up to 4 axes, written as (N, C, H, W), float32.
    """

    graphable = False
    bottoms = 2
    tops = 0

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        self.path = self.param.hdf5_output_param.file_name
        if not self.path:
            raise self.fail("needs hdf5_output_param { file_name: ... }", LayerError)
        try:
            with hdf5_files.create(self.path):
                pass
        except WeightsError as error:
            raise self._unwritable(error) from error

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob in bottom:
            if len(blob.dims) > 4:
                raise self.fail(f"writes blobs of up to 4 axes, got {blob.dims}", ShapeError)
        if bottom[0].num != bottom[1].num:
            raise self.fail(
                f"bottoms must have the same first axis, got {bottom[0].dims} and {bottom[1].dims}"
            )

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        size = sum(4 * blob.count for blob in bottom)
        try:
            with hdf5_files.append_to(self.path, size) as file:
                for name, blob in zip(DATASETS, bottom):
                    shape = (blob.num, blob.channels, blob.height, blob.width)
                    self._append(file, name, blob.data_tensor().cpu().numpy().reshape(shape))
        except OSError as error:
            raise self._unwritable(error) from error

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Nothing: nothing depends on a file."""

    def _append(self, file: h5py.File, name: str, rows: np.ndarray) -> None:
        if name not in file:
            file.create_dataset(name, data=rows, maxshape=(None, *rows.shape[1:]))
            return
        dataset = file[name]
        if dataset.shape[1:] != rows.shape[1:]:
            raise self.fail(
                f"'{self.path}' holds rows of shape {dataset.shape[1:]} in '{name}', cannot "
                f"append rows of {rows.shape[1:]}"
            )
        done = len(dataset)
        dataset.resize(done + len(rows), axis=0)
        dataset[done:] = rows

    def _unwritable(self, error: Exception) -> DataError:
        return self.fail(
            f"cannot write HDF5 file '{self.path}' (in directory {os.getcwd()}): {error}",
            DataError,
        )
