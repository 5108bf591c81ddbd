"""Blob as pycaffe's: shape, legacy axes, reshape, memory that grows only."""

import copy
import gc

import numpy as np
import pytest
import torch

from caffe.blob import Blob, BlobVec
from caffe.device import current
from caffe.errors import ShapeError


def test_shape_count_and_legacy_axes():
    blob = Blob((2, 3))
    assert list(blob.shape) == [2, 3]
    assert blob.count == 6
    assert (blob.num, blob.channels, blob.height, blob.width) == (2, 3, 1, 1)
    with pytest.raises(ShapeError, match="up to 4 axes"):
        _ = Blob((1, 1, 1, 1, 1)).num


def test_data_is_float32_writable_and_not_assignable(device):
    blob = Blob((2, 3))
    blob.data[...] = 1.5
    assert blob.data.dtype == np.float32
    assert blob.data.flags.c_contiguous and blob.data.flags.writeable
    assert (blob.data == 1.5).all() and (blob.diff == 0).all()
    with pytest.raises(AttributeError):
        blob.data = np.zeros((2, 3))


def test_reshape_takes_separate_integers():
    blob = Blob((1,))
    blob.reshape(np.int64(2), 3)
    assert list(blob.shape) == [2, 3]
    blob.reshape()
    assert list(blob.shape) == [] and blob.data.shape == ()
    for wrong in [(2, 3), 2.0, "2"]:
        with pytest.raises(TypeError):
            blob.reshape(wrong)
    with pytest.raises(ShapeError, match="start at 0"):
        blob.reshape(2, -1)
    with pytest.raises(ShapeError, match="INT_MAX"):
        blob.reshape(65536, 65536)


def test_shrinking_keeps_a_prefix_growing_starts_from_zero(device):
    blob = Blob((2, 3))
    blob.data[...] = np.arange(6).reshape(2, 3)
    blob.diff[...] = 1
    blob.reshape(2, 2)
    assert np.array_equal(blob.data, [[0, 1], [2, 3]])
    blob.reshape(2, 3)
    assert np.array_equal(blob.data.ravel(), np.arange(6))
    old = blob.data
    blob.reshape(3, 3)
    assert (blob.data == 0).all() and (blob.diff == 0).all()
    blob.data[...] = 9
    assert np.array_equal(old.ravel(), np.arange(6))  # the old array keeps the old memory


def test_arrays_outlive_their_blob(device):
    array = Blob((2,)).data
    gc.collect()
    array[...] = 3
    assert (array == 3).all()


def test_sharing_data_leaves_diffs_apart(device):
    a, b = Blob((2, 3)), Blob((6,))
    b.share_data(a)
    a.data[...] = 4
    a.diff[...] = 5
    assert (b.data == 4).all() and (b.diff == 0).all()
    with pytest.raises(ShapeError, match="cannot share"):
        Blob((5,)).share_data(a)


def test_blobvec_makes_blobs():
    blobs = BlobVec()
    blobs.add_blob(2, 3)
    blobs.add_blob()
    assert [list(b.shape) for b in blobs] == [[2, 3], []]


def test_no_copy_and_no_pickle():
    with pytest.raises(RuntimeError, match="cannot be pickled"):
        copy.deepcopy(Blob((1,)))


def test_only_a_blob_can_take_a_blobs_place():
    """An array put there by mistake would be found out far away, in the next forward pass."""
    blobs = BlobVec([Blob((2,))])
    with pytest.raises(TypeError, match=r"ndarray.*data\[\.\.\.\] = array"):
        blobs[0] = np.zeros(2, np.float32)
    other = Blob((3,))
    blobs[0] = other
    assert blobs[0] is other


def test_values_are_judged_and_kept_where_they_lie(device):
    blob = Blob((2, 3))
    assert blob.all_finite()
    blob.set_data(torch.full((2, 3), 2.0, device=current().torch_device))
    kept = blob.deferred()
    assert blob.all_finite()
    for bad in (np.nan, np.inf, -np.inf):
        blob.data[1, 2] = bad
        assert not blob.all_finite()
        blob.data_tensor().mul_(1.0)
        blob.touch_data()
        assert not blob.all_finite()
    assert (kept() == 2).all()


def test_deferred_values_cost_no_wait(pretend):
    blob = Blob((2, 3))
    blob.set_data(torch.ones(2, 3, device=current().torch_device))
    with pretend.counting() as counts:
        kept = blob.deferred()
    assert counts["sync"] == 0
    assert kept().shape == (2, 3)
