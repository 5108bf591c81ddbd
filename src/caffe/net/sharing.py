"""Sharing parameters between nets: by layer name, data only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caffe import glog
from caffe.errors import WeightsError

if TYPE_CHECKING:
    from caffe.net import Net

__all__ = ["share_with"]


def share_with(net: Net, other: Net) -> None:
    """Let ``net`` use the data memory of the layers of the same names in ``other``.

    Raises WeightsError, before anything is shared, where blob counts or shapes differ.
    """
    if not hasattr(other, "layer_params"):
        raise TypeError(f"parameters are shared with another Net, got {type(other).__name__}")
    mine: dict[str, Any] = {}
    for name, blobs in net.layer_params():
        mine.setdefault(name, blobs)
    pairs = []
    for name, theirs in other.layer_params():
        if name not in mine:
            continue
        if len(mine[name]) != len(theirs):
            raise WeightsError(
                f"Incompatible number of blobs for layer '{name}': the other net has "
                f"{len(theirs)}, this one {len(mine[name])}"
            )
        for j, (target, source) in enumerate(zip(mine[name], theirs)):
            if target.dims != source.dims:
                raise WeightsError(
                    f"Cannot share param {j} weights from layer '{name}'; shape mismatch. "
                    f"Source param shape is {source.dims}; target param shape is {target.dims}"
                )
            pairs.append((target, source))
    known = set(net._layer_names)
    for name in other._layer_names:
        if name not in known:
            glog.info("net", f"Ignoring source layer {name}")
    for target, source in pairs:
        target.share_data(source)
