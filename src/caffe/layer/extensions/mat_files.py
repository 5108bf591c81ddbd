"""MatWrite and MatRead: blobs in MATLAB files (DeepLab)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from caffe import glog
from caffe.errors import DataError, LayerError
from caffe.layer import Layer, Need, register
from caffe.layer.extensions import _mat_files

if TYPE_CHECKING:
    from caffe.blob import Blob


@register("MatWrite")
class MatWrite(Layer):
    """Pass i writes its bottom b to ``PREFIX NAME_blob_b.mat``, as the array `data`, W x H x C x N
    for MATLAB (``permute(data, [2 1 3 4])`` turns pictures upright), single precision.

    ``mat_write_param``: ``prefix``, with the folder; ``source``, a list whose i-th line is NAME,
    less ``strip`` characters at its end (without one NAME is ``iter_i``); ``period``: of so many
    passes one is written.  A pass more than the list has names is an error.
    """

    graphable = False
    bottoms = (1, None)
    tops = 0

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        p = self.param.mat_write_param
        if p.period < 1 or p.strip < 0:
            raise self.fail(
                f"period must be positive and strip not negative, got {p.period} and {p.strip}",
                LayerError,
            )
        self.names: list[str] | None = None
        if p.HasField("source"):
            try:
                self.names = _mat_files.names(p.source, p.strip)
            except DataError as error:
                raise self.fail(str(error), DataError) from error
            glog.info(
                "mat_write_layer", f"MatWrite will save a maximum of {len(self.names)} files."
            )
        self.iteration = 0

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        for blob in bottom:
            if len(blob.dims) > 4:
                raise self.fail(f"writes blobs of up to 4 axes, got {blob.dims}")

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        p = self.param.mat_write_param
        number = self.iteration
        self.iteration += 1
        if number % p.period:
            return
        name = f"iter_{number}"
        if self.names is not None:
            if number >= len(self.names):
                raise self.fail(
                    f"pass {number + 1} has no name: {p.source} has {len(self.names)}. Expected no "
                    "more passes than names (test_iter)",
                    DataError,
                )
            name = self.names[number]
        for i, blob in enumerate(bottom):
            values = blob.data_tensor().float().cpu().numpy()
            try:
                path = f"{p.prefix}{name}_blob_{i}.mat"
                _mat_files.write(path, values.reshape(_mat_files.four(blob.dims, last=True)))
            except DataError as error:
                raise self.fail(str(error), DataError) from error

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Nothing: nothing depends on a file."""


@register("MatRead")
class MatRead(Layer):
    """What :class:`MatWrite` wrote, one item a file, over and over: top b is batch_size x C x H x W
    of the files ``PREFIX NAME_blob_b.mat``.

    ``mat_read_param``: ``prefix``; ``source``, a list whose lines are the NAMEs, less ``strip``
    characters at their ends; ``batch_size`` (1).
    """

    graphable = False
    bottoms = 0
    tops = (1, None)

    def setup_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        p = self.param.mat_read_param
        if p.batch_size < 1 or p.strip < 0 or not p.source:
            raise self.fail(
                "needs a source, a positive batch_size and a strip that is not negative, got "
                f"{p.source!r}, {p.batch_size} and {p.strip}",
                LayerError,
            )
        try:
            self.names = _mat_files.names(p.source, p.strip)
        except DataError as error:
            raise self.fail(str(error), DataError) from error
        glog.info("mat_read_layer", f"MatRead will load from a set of {len(self.names)} files.")
        self.iteration = 0
        for i, blob in enumerate(top):
            blob.set_dims((p.batch_size, *self._read(self.names[0], i).shape[1:]))

    def reshape_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        """Nothing: the first file says how large the tops are."""

    def forward_blobs(self, bottom: list[Blob], top: list[Blob]) -> None:
        count = self.param.mat_read_param.batch_size
        first = self.iteration
        names = [self.names[(first + n) % len(self.names)] for n in range(count)]
        batches = []
        for i, blob in enumerate(top):
            items = [self._read(name, i) for name in names]
            for name, item in zip(names, items):
                if item.shape[1:] != blob.dims[1:]:
                    raise self.fail(
                        f"{self._path(name, i)} holds {item.shape[1:]}, the first file held "
                        f"{blob.dims[1:]}: expected equal sizes",
                        DataError,
                    )
            batches.append(np.concatenate(items))
        for blob, batch in zip(top, batches):
            blob.set_host_data(batch)
        self.iteration = (first + count) % len(self.names)

    def backward_blobs(self, top: list[Blob], need: Need, bottom: list[Blob]) -> None:
        """Nothing below this layer."""

    def _path(self, name: str, i: int) -> str:
        return f"{self.param.mat_read_param.prefix}{name}_blob_{i}.mat"

    def _read(self, name: str, i: int) -> np.ndarray:
        try:
            values = _mat_files.read(self._path(name, i))
        except DataError as error:
            raise self.fail(str(error), DataError) from error
        if len(values) != 1:
            raise self.fail(
                f"{self._path(name, i)} holds {len(values)} items: expected one", DataError
            )
        return values
