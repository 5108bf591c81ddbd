"""Weights from one of Caffe's own formats to the other: caffemodel and HDF5."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from caffe.atomic import atomic_path
from caffe.blob import Blob
from caffe.export.graph import ExportError
from caffe.export.prepare import prepared
from caffe.weights import caffemodel, hdf5, read_layers

__all__ = ["FORMATS", "convert"]

FORMATS = ("caffemodel", "hdf5")


def convert(
    prototxt: str | os.PathLike[str],
    weights: str | os.PathLike[str],
    path: str | os.PathLike[str],
    to: str,
) -> list[str]:
    """Write weights in another format, and read them back before the file is there.

    The net in TEST says what belongs to which layer and which parameters are shared; layers of the
    file that it does not have (of a training net's other heads) come behind them.

    Returns:
        The names of the layers that were written.

    Raises:
        ExportError: ``to`` is no format, or what was written reads otherwise.
        Error: a file cannot be read or written, or does not fit the net.
    """
    if to not in FORMATS:
        raise ExportError(f"weights are written as {' or '.join(FORMATS)}; received '{to}'")
    net = prepared(prototxt, weights)
    description = net.to_proto()
    params: list[tuple[str, list[Any]]] = [(n, list(blobs)) for n, blobs in net.layer_params()]
    own = {name for name, _ in params}
    for stored in read_layers(weights):
        if stored.name not in own and stored.blobs:
            params.append((stored.name, [_blob(blob) for blob in stored.blobs if blob is not None]))
            description.layer.add(name=stored.name, type=stored.type)
    with atomic_path(path) as temporary:
        if to == "hdf5":
            hdf5.write_net(temporary, params)
        else:
            caffemodel.write_net(temporary, description, [blobs for _, blobs in params])
        _verify(temporary, params)
    return [name for name, blobs in params if blobs]


def _blob(stored: Any) -> Blob:
    values = stored.array()
    blob = Blob(values.shape)
    blob.data[...] = values
    return blob


def _verify(path: str, params: list[tuple[str, list[Any]]]) -> None:
    found = {layer.name: layer.blobs for layer in read_layers(path)}
    for name, blobs in params:
        for index, blob in enumerate(blobs):
            read = found.get(name, [])
            stored = read[index] if index < len(read) else None
            if stored is None:  # shared, and stored with its first layer
                continue
            if not np.array_equal(stored.array(), blob.data_numbers(), equal_nan=True):
                raise ExportError(f"layer '{name}', blob {index}: {path} reads otherwise")
