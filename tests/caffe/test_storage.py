"""Who holds the newest copy: NumPy writes, tensor writes, arrays kept alive, sharing."""

import gc

import numpy as np
import pytest
import torch

from caffe.device import current
from caffe.storage import Storage

SHAPE = (2, 3)


def full(value):
    """A tensor on the test's device."""
    return torch.full(SHAPE, float(value), device=current().torch_device)


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


def test_the_mirror_keeps_memory_of_its_own():
    from caffe.device import set_mode_mirror

    set_mode_mirror()
    s = Storage(6)
    array = s.array(SHAPE)
    tensor = s.tensor(SHAPE)
    tensor.add_(1)  # without touch(): as a device write that was not announced
    assert (array == 0).all()


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


@pytest.mark.parametrize("write", ["array", "write", "touch", "zero"])
def test_version_changes_with_every_write(device, write):
    s = Storage(6)
    s.write(full(1))
    before = s.version()
    assert s.version() == before
    if write == "array":
        s.array(SHAPE)
    elif write == "write":
        s.write(full(2))
    elif write == "touch":
        s.tensor(SHAPE).add_(1)
        s.touch()
    else:
        s.zero()
    assert s.version() != before


def test_nothing_is_cached_while_an_array_is_alive(device):
    s = Storage(6)
    kept = s.array(SHAPE)
    made = []
    for _ in range(2):
        s.cached("sum", lambda: made.append(1))
    assert len(made) == 2
    del kept
    for _ in range(2):
        s.cached("sum", lambda: made.append(1))
    assert len(made) == 3
