"""Parameters of a net to and from files, and shared between nets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from caffe import glog, weights
from caffe.errors import WeightsError

if TYPE_CHECKING:
    from caffe.net import Net

__all__ = ["copy_from", "load_hdf5", "save", "save_hdf5", "share_with"]


def copy_from(net: Net, path: str) -> None:
    """Copy by layer name; everything is checked before anything is copied."""
    if not os.path.isfile(path):
        raise WeightsError(f"weights file '{path}' does not exist")
    if weights.is_hdf5(path):
        load_hdf5(net, path)
        return
    targets: dict[str, Any] = {}
    for name, blobs in net.layer_params():
        targets.setdefault(name, blobs)
    with weights.open_layers(path) as layers:
        copies = []
        for source in layers:
            if source.name not in targets:
                glog.info("net", f"Ignoring source layer {source.name}")
                continue
            blobs = targets[source.name]
            if len(source.blobs) != len(blobs):
                raise WeightsError(
                    f"{path}: Incompatible number of blobs for layer '{source.name}': the file "
                    f"has {len(source.blobs)}, the net {len(blobs)}. Rename the layer to train "
                    "it from its filler"
                )
            for j, (stored, blob) in enumerate(zip(source.blobs, blobs)):
                if not stored.matches(blob.dims):
                    raise WeightsError(
                        f"{path}: Cannot copy param {j} weights from layer '{source.name}'; "
                        f"shape mismatch. Source param shape is {stored.describe_shape()}; "
                        f"target param shape is {' '.join(map(str, blob.dims))} ({blob.count}). "
                        "To learn this layer's parameters from scratch rather than copying from "
                        "a saved net, rename the layer."
                    )
                copies.append((stored, blob))
        for stored, blob in copies:
            stored.copy_to(blob.data)
            if stored.has_diff:
                stored.copy_diff_to(blob.diff)


def share_with(net: Net, other: Net) -> None:
    mine: dict[str, Any] = {}
    for name, blobs in net.layer_params():
        mine.setdefault(name, blobs)
    for name, theirs in other.layer_params():
        if name not in mine:
            continue
        if len(mine[name]) != len(theirs):
            raise WeightsError(
                f"Incompatible number of blobs for layer '{name}': {len(theirs)} and "
                f"{len(mine[name])}"
            )
        for j, (target, source) in enumerate(zip(mine[name], theirs)):
            if target.dims != source.dims:
                raise WeightsError(
                    f"Cannot share param {j} weights from layer '{name}'; shape mismatch. "
                    f"Source param shape is {source.dims}; target param shape is {target.dims}"
                )
            target.share_data(source)


def save(net: Net, path: str) -> None:
    weights.write_net(path, net.to_proto(), [blobs for _, blobs in net.layer_params()])


def save_hdf5(net: Net, path: str) -> None:
    from caffe import weights_hdf5

    weights_hdf5.write_net(path, net)


def load_hdf5(net: Net, path: str) -> None:
    from caffe import weights_hdf5

    weights_hdf5.read_net(path, net)
