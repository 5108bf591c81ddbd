"""Sentinels: one flag that falls when anything happens to any of the storages."""

import gc

import numpy as np
import pytest
import torch

from caffe.blob import Blob
from caffe.sentinel import Sentinel
from caffe.storage import Storage


def filled(*dims):
    blob = Blob(dims)
    blob.set_data(torch.ones(dims))
    return blob


HAPPENINGS = {
    "an array is handed out": lambda blob: blob.data,
    "new numbers": lambda blob: blob.set_data(torch.zeros(2, 3)),
    "a tensor that was written in place": lambda blob: blob.touch_data(),
    "zero": lambda blob: blob.data_storage.zero(),
    "numbers for later": lambda blob: blob.data_storage.defer(lambda: torch.ones(2, 3)),
    "a replayed pass": lambda blob: blob.data_storage.adopt(torch.zeros(2, 3)),
    "undone": lambda blob: blob.data_storage.rewind(blob.data_storage.snapshot()),
    "another shape": lambda blob: blob.reshape(3, 2),
    "more memory": lambda blob: blob.reshape(30, 2),
    "another blob's memory": lambda blob: blob.share_data(filled(2, 3)),
    "a user's memory": lambda blob: blob.use_memory(np.zeros((2, 3), np.float32)),
    "the host's memory": lambda blob: blob.data_storage.use_host(np.zeros(6, np.float32)),
    "a filler": lambda blob: blob.fill_later(lambda values: values.fill(1)),
}


@pytest.mark.parametrize("what", HAPPENINGS)
def test_a_sentinel_tells_of(what):
    blobs = [filled(2, 3) for _ in range(3)]
    sentinel = Sentinel(blob.data_storage for blob in blobs)
    assert sentinel.quiet
    HAPPENINGS[what](blobs[1])
    assert not sentinel.quiet


def test_reading_is_nothing_that_happens():
    blob = filled(2, 3)
    sentinel = Sentinel([blob.data_storage])
    blob.data_tensor()
    blob.data_numbers()
    blob.reshape(2, 3)
    assert blob.all_finite()
    assert sentinel.quiet


def test_deferred_numbers_that_somebody_asks_for():
    blob = filled(2, 3)
    blob.data_storage.defer(lambda: torch.zeros(2, 3))
    sentinel = Sentinel([blob.data_storage])
    blob.data_tensor()
    assert not sentinel.quiet


def test_several_sentinels_and_none_is_kept():
    storage = Storage(4)
    first, second = Sentinel([storage]), Sentinel([storage])
    for _ in range(100):
        Sentinel([storage])
    assert len(storage._sentinels) <= 3
    storage.zero()
    assert not first.quiet and not second.quiet
    third = Sentinel([storage])
    del first, second
    gc.collect()
    storage.zero()
    assert not third.quiet
