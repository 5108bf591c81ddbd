"""Who holds the newest copy: NumPy writes, tensor writes, arrays kept alive."""

import gc

import numpy as np
import pytest
import torch
from six_numbers import SHAPE, full

from caffe.blob import Blob
from caffe.device import current
from caffe.storage import Storage


def test_starts_zero_and_allocates_nothing(device):
    s = Storage(6)
    assert s.is_zero
    assert s.tensor(SHAPE).sum() == 0
    assert Storage(6).array(SHAPE).sum() == 0


def test_array_write_reaches_the_tensor(device):
    s = Storage(6)
    s.array(SHAPE)[...] = 3
    assert torch.equal(s.tensor(SHAPE), full(3))


def test_tensor_write_reaches_the_array(device):
    s = Storage(6)
    s.array(SHAPE)[...] = 3
    s.write(full(4))
    assert (s.array(SHAPE) == 4).all()


def test_in_place_tensor_write_reaches_the_array(device):
    s = Storage(6)
    s.array(SHAPE)[...] = 3
    s.tensor(SHAPE).mul_(2)
    s.touch()
    assert (s.array(SHAPE) == 6).all()


def test_a_kept_array_goes_on_writing(device):
    s = Storage(6)
    kept = s.array(SHAPE)
    assert torch.equal(s.tensor(SHAPE), full(0))
    kept[...] = 5  # nobody is told
    assert torch.equal(s.tensor(SHAPE), full(5))
    kept[0, 0] = 7
    assert s.tensor(SHAPE)[0, 0] == 7


def test_a_view_derived_from_an_array_counts_as_alive(device):
    s = Storage(6)
    row = s.array(SHAPE)[1]
    gc.collect()
    s.tensor(SHAPE)
    row[...] = 2
    assert torch.equal(s.tensor(SHAPE)[1], full(2)[1])
    flat = np.frombuffer(row, np.float32) if row.flags.c_contiguous else row
    del row
    s.tensor(SHAPE)
    flat[0] = 9
    assert s.tensor(SHAPE)[1, 0] == 9


def test_a_kept_array_shows_a_later_result_once_asked_for(device):
    s = Storage(6)
    kept = s.array(SHAPE)
    s.write(full(4))
    again = s.array(SHAPE)
    assert (again == 4).all()
    assert (kept == 4).all()  # the same memory


@pytest.mark.cpu_only
def test_on_the_cpu_a_kept_array_shows_a_later_result_at_once():
    s = Storage(6)
    kept = s.array(SHAPE)
    s.write(full(4))
    assert (kept == 4).all()


def test_the_device_wins_over_a_write_that_came_before(device):
    s = Storage(6)
    kept = s.array(SHAPE)
    kept[...] = 1
    s.write(full(8))
    assert torch.equal(s.tensor(SHAPE), full(8))
    assert (s.array(SHAPE) == 8).all()


def test_channels_last_results_read_as_nchw(device):
    shape = (1, 2, 3, 4)
    values = torch.arange(24.0, device=current().torch_device).view(shape)
    s = Storage(24)
    s.write(values.contiguous(memory_format=torch.channels_last))
    assert np.array_equal(s.array(shape), values.cpu().numpy())
    assert s.array(shape).flags.c_contiguous


def test_a_smaller_shape_sees_the_prefix(device):
    s = Storage(6)
    s.write(torch.arange(6.0, device=current().torch_device).view(SHAPE))
    assert s.tensor((2, 2)).tolist() == [[0, 1], [2, 3]]
    assert np.array_equal(s.array((4,)), [0, 1, 2, 3])


def test_scalars(device):
    s = Storage(1)
    s.array(())[...] = 2
    assert s.tensor(()).item() == 2
    assert s.array(()).shape == ()


def test_first_addition_is_taken_later_ones_add(device):
    s = Storage(6)
    s.add(full(1), SHAPE)
    s.add(full(2), SHAPE)
    assert (s.array(SHAPE) == 3).all()
    s.zero()
    assert (s.array(SHAPE) == 0).all()


def test_addition_with_an_array_alive(device):
    s = Storage(6)
    kept = s.array(SHAPE)
    kept[...] = 1
    s.add(full(2), SHAPE)
    assert (s.array(SHAPE) == 3).all()
    s.zero()
    assert (s.array(SHAPE) == 0).all()


def test_numbers_are_the_newest_and_read_only(device):
    s = Storage(6)
    assert (s.numbers(SHAPE) == 0).all()
    s.array(SHAPE)[...] = 3
    assert (s.numbers(SHAPE) == 3).all()
    s.write(full(4))
    numbers = s.numbers(SHAPE)
    assert (numbers == 4).all()
    assert numbers.flags.c_contiguous
    assert not numbers.flags.writeable
    s.tensor(SHAPE).add_(1)
    s.touch()
    assert (s.numbers(SHAPE) == 5).all()
    assert np.array_equal(s.numbers((3,)), [5, 5, 5])


def test_numbers_of_another_layout_or_a_shorter_type(device):
    shape = (1, 2, 3, 4)
    values = torch.arange(24.0, device=current().torch_device).view(shape)
    s = Storage(24)
    s.write(values.contiguous(memory_format=torch.channels_last))
    assert np.array_equal(s.numbers(shape), values.cpu().numpy())
    s.write(values.to(torch.bfloat16))
    assert s.tensor(shape).dtype == torch.bfloat16
    assert np.array_equal(s.numbers(shape), values.cpu().numpy())
    assert np.array_equal(s.array(shape), values.cpu().numpy())


def test_numbers_beyond_a_shorter_result(device):
    s = Storage(6)
    s.array((6,))[...] = 7
    s.write(full(1)[0])
    if device != "cpu":  # there the result took the place of the whole memory
        assert np.array_equal(s.numbers((6,)), [1, 1, 1, 7, 7, 7])


@pytest.mark.cpu_only
def test_memory_to_fill_is_what_arrays_show_and_stays_the_same():
    s = Storage(6)
    s.write(full(1))
    before = s.version()
    to = s.to_fill(SHAPE)
    to.fill_(4)
    assert s.version() != before
    assert (s.array(SHAPE) == 4).all() and s.tensor(SHAPE).eq(4).all()
    held = s.array(SHAPE)
    assert s.to_fill(SHAPE) is to
    to.fill_(5)
    assert (held == 5).all()
    s.write(full(7))
    assert s.to_fill(SHAPE).fill_(6).eq(6).all() and (held == 6).all()


def test_filling_writes_what_an_assignment_to_the_array_does():
    blob = Blob([2, 3])
    held, before = blob.data, blob.data_storage.version()
    blob.fill("data", np.arange(3))  # widened, as by an assignment
    np.testing.assert_array_equal(held, [[0, 1, 2], [0, 1, 2]])
    del held
    still = blob.data_storage.version()
    assert still is not None and still != before
    blob.set_data(torch.ones(2, 3))
    blob.fill("data", 7)
    assert blob.data_tensor().tolist() == [[7.0] * 3] * 2
    assert blob.data_storage.version() not in (before, still)
    blob.fill("diff", 2.5)
    np.testing.assert_array_equal(blob.diff, np.full((2, 3), 2.5))
    with pytest.raises(ValueError, match="broadcast"):
        blob.fill("data", np.zeros(4))
