"""What is asked of many storages at once, in each pass of a small net (net/small_training.py): a
method's call for each would take longer than the pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

from caffe.storage import Storage
from caffe.storage.versions import BOTH, TENSOR, version_numbers

__all__ = ["Held", "Kept", "blobs_stay", "keep", "stay", "touch"]

if TYPE_CHECKING:
    from caffe.blob import Blob

#: A blob, its shape, and the storages of its data and its diff.
Kept = tuple["Blob", tuple[int, ...], Storage, Storage]
#: A storage, and the tensor that it has for this shape.
Held = tuple[Storage, tuple[int, ...], torch.Tensor]


def keep(blobs: Iterable[Blob]) -> list[Kept]:
    """What :func:`blobs_stay` compares."""
    return [(b, b.dims, b.data_storage, b.diff_storage) for b in blobs]


def blobs_stay(kept: list[Kept]) -> bool:
    """Whether each blob has the same shape and storages."""
    for blob, dims, data, diff in kept:
        if blob.dims is not dims or blob.data_storage is not data:
            return False
        if blob.diff_storage is not diff:
            return False
    return True


def stay(held: list[Held]) -> bool:
    """Whether each tensor still lies where it did, on the CPU, and may be written: nobody counts on
    its numbers.  Tensors that lie there under another name take the place of those in ``held``."""
    for i, (storage, shape, tensor) in enumerate(held):
        found = storage.newest(shape)
        if found is not tensor:
            if found.data_ptr() != tensor.data_ptr() or found.stride() != tensor.stride():
                return False
            held[i] = storage, shape, found
        if storage._lent or (storage._borrowers and storage._is_lent()):
            return False
    return True


def touch(storages: Iterable[Storage]) -> None:
    """:meth:`Storage.touch` of each, on the CPU."""
    for storage in storages:
        storage._version = next(version_numbers)
        if storage._sentinels:
            storage.alert()
        if storage.state == BOTH:
            storage.state = TENSOR
