"""The inputs and outputs of a program, from pass to pass."""

import numpy as np
import pytest
import torch

from caffe.blob import Blob
from caffe.net.ends import Ends

pytestmark = pytest.mark.cpu_only


def filled(*shape):
    blob = Blob(shape)
    blob.data[...] = np.arange(blob.count, dtype=np.float32).reshape(shape)
    return blob


def test_inputs_are_copies_of_what_the_blobs_hold_now():
    blob = filled(2, 3)
    ends = Ends([blob], [])
    ends.take()
    blob.data[...] = 0
    assert ends.inputs[0].tolist() == [[0, 1, 2], [3, 4, 5]]
    ends.take()
    assert not ends.inputs[0].any()
    blob.set_data(torch.ones(2, 3))
    ends.take()
    assert ends.inputs[0].eq(1).all()
    blob.set_data(torch.arange(6.0).view(3, 2).t())  # in another layout
    ends.take()
    assert ends.inputs[0].tolist() == [[0, 2, 4], [1, 3, 5]]


def test_a_blob_may_have_less_than_its_memory():
    blob = filled(4, 3)
    blob.reshape(2, 3)
    ends = Ends([blob], [])
    ends.take()
    assert ends.inputs[0].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("count", [5, 1 << 14])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_noticed(count, value):
    blob = filled(count)
    ends = Ends([blob], [])
    ends.take()
    assert ends.are_finite()
    blob.data[count // 2] = value
    ends.take()
    assert not ends.are_finite()


@pytest.mark.parametrize("count", [5, 1 << 14])
def test_outputs_are_what_was_given_in_whichever_layout(count):
    blob = Blob((count, 2))
    ends = Ends([], [blob])
    held = None
    for start in range(3):
        values = torch.arange(start, start + 2.0 * count).view(2, count).t()
        assert ends.give([values])
        np.testing.assert_array_equal(blob.data, values.numpy())
        if held is None:
            held = blob.data
    np.testing.assert_array_equal(held, values.numpy())
    values[0, 1] = np.nan
    assert not ends.give([values])


def test_outputs_do_not_write_over_what_somebody_was_lent():
    blob = Blob((3,))
    blob.set_data(torch.ones(3))
    lent = blob.data_tensor()
    assert blob.data_storage.lend()
    assert Ends([], [blob]).give([torch.zeros(3)])
    assert lent.eq(1).all() and not blob.data.any()


@pytest.mark.parametrize("which", [0, 1])
def test_other_shapes_and_other_memory_are_noticed(which):
    blobs = filled(2, 3), filled(4)
    ends = Ends(blobs[:1], blobs[1:])
    assert ends.have_stayed()
    blobs[which].reshape(1, 2)
    assert not ends.have_stayed()
    ends = Ends(blobs[:1], blobs[1:])
    blobs[which].use_memory(np.ones((1, 2), np.float32))
    assert not ends.have_stayed()
