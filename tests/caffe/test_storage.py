"""Who holds the newest copy: NumPy writes, tensor writes, arrays kept alive, sharing."""

import gc

import numpy as np
import pytest
import torch

from caffe import storage as storage_module
from caffe.blob import Blob
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


# Reads that are no lease -----------------------------------------------------------------------


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


def test_numbers_cost_no_upload_and_leave_the_cache(device):
    s = Storage(6)
    s.write(full(4))
    before, tensor = s.version(), s.tensor(SHAPE)
    s.numbers(SHAPE)
    assert s.version() == before
    assert s.tensor(SHAPE) is tensor


# On a GPU: what moves, and between whom ---------------------------------------------------------


def test_zeros_are_made_on_the_device(pretend):
    s = Storage(6)
    with pretend.counting() as counts:
        s.tensor(SHAPE)
        s.tensor(SHAPE)
    assert (counts["H2D"], counts["launch"]) == (0, 1)
    assert (s.array(SHAPE) == 0).all()


def test_a_dropped_array_goes_up_once(pretend):
    s = Storage(6)
    s.write(full(2))
    s.array(SHAPE)
    with pretend.counting() as counts:
        for _ in range(3):
            s.tensor(SHAPE)
    assert counts["H2D"] == 1
    assert counts["sync"] == 0  # through pinned memory


def test_a_large_upload_goes_in_pieces(pretend, monkeypatch):
    from caffe import device

    monkeypatch.setattr(device, "_PIECE", 4)
    s = Storage(10)
    s.array((2, 5))[...] = np.arange(10).reshape(2, 5)
    with pretend.counting() as counts:
        assert s.tensor((2, 5)).shape == (2, 5)
    assert (counts["H2D"], counts["sync"]) == (3, 0)
    assert s.tensor((2, 5)).tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_other_shapes_are_views_on_the_device(pretend):
    s = Storage(24)
    values = torch.arange(24.0, device=current().torch_device).view(1, 2, 3, 4)
    s.write(values.contiguous(memory_format=torch.channels_last))
    with pretend.counting() as counts:
        view = s.tensor((6, 4))
        assert s.tensor((6, 4)) is view
        s.tensor((1, 2, 3, 4))
        s.tensor((5,))
    assert (counts["H2D"], counts["D2H"], counts["launch"]) == (0, 0, 1)  # one new layout
    assert s.holds(view)
    view.add_(1)
    s.touch()
    assert s.tensor((5,)).tolist() == [1, 2, 3, 4, 5]
    assert s.numbers((24,))[-1] == 24


def test_a_shape_that_grows_within_its_memory_stays_on_the_device(pretend):
    s = Storage(6)
    s.write(full(2)[0])
    with pretend.counting() as counts:
        grown = s.tensor(SHAPE)
    assert (counts["H2D"], counts["D2H"]) == (0, 0)
    assert grown.tolist() == [[2, 2, 2], [0, 0, 0]]


def on(name):
    """Compute on another device from now on."""
    import pretend_device

    from caffe import device as devices

    if name.startswith("pretend"):
        pretend_device.set_mode_pretend(int(name[-1]))
    else:
        getattr(devices, f"set_mode_{name}")()


PLACES = ["cpu", "mirror", "pretend0", "pretend1"]


@pytest.mark.parametrize("first", PLACES)
@pytest.mark.parametrize("second", PLACES)
def test_the_newest_numbers_follow_from_device_to_device(pretend, first, second):
    s = Storage(6)
    on(first)
    s.write(full(1))
    for name, expected in ((second, 2), (first, 3), (second, 4)):
        on(name)
        tensor = s.tensor(SHAPE)
        assert tensor.device == current().torch_device
        tensor.add_(1)
        s.touch()
        assert (s.numbers(SHAPE) == expected).all()
    on(first)
    kept = s.array(SHAPE)
    kept[...] = 8
    on(second)
    assert s.tensor(SHAPE).tolist() == full(8).tolist()
    s.add(full(1), SHAPE)
    on(first)
    assert (s.array(SHAPE) == 9).all()
    assert (kept == 9).all()


def test_from_one_gpu_to_the_other_directly(pretend):
    s = Storage(6)
    s.write(full(1))
    on("pretend1")
    with pretend.counting() as counts:
        s.tensor(SHAPE)
    assert (counts["P2P"], counts["D2H"], counts["H2D"]) == (1, 0, 0)


def test_what_is_derived_belongs_to_a_device(pretend):
    s = Storage(6)
    for name in ("pretend0", "pretend1", "cpu", "mirror", "pretend0"):
        on(name)
        if name == "pretend0":
            s.write(full(1))
        double = s.cached("double", lambda: s.tensor(SHAPE) * 2)
        assert double.device == current().torch_device
        assert s.cached("double", lambda: None) is double


def test_no_two_storages_have_the_same_version():
    """A blob may be given another one's memory; what was derived from its own is then stale."""
    a, b = Storage(3), Storage(3)
    seen = [a.version(), b.version()]
    for s in (a, b, b, a):
        s.array((3,))[...] = 1
        seen.append(s.version())
    assert len(set(seen)) == len(seen)


def test_memory_of_numbers_that_are_gone_serves_the_next(monkeypatch):
    monkeypatch.setattr(storage_module, "_LARGE", 4)
    storage = Storage(6)
    assert storage.spare((2, 3)) is None
    first = torch.arange(6.0).view(2, 3)
    storage.write(first)
    storage.zero(keep_memory=True)
    assert storage.is_zero
    assert storage.spare((5,)) is None  # and that was the only offer
    storage.write(first)
    storage.defer(lambda: torch.ones(2, 3), keep_memory=True)
    storage.zero()
    spare = storage.spare((3, 2))
    assert spare.shape == (3, 2)
    assert spare.is_contiguous()
    assert spare.data_ptr() == first.data_ptr()
    assert storage.spare((3, 2)) is None  # it has been given away


def test_memory_that_somebody_has_is_never_spare(monkeypatch):
    monkeypatch.setattr(storage_module, "_LARGE", 4)
    for keep in (lambda s: s.array((6,)), lambda s: s.lend()):
        storage = Storage(6)
        storage.write(torch.arange(6.0))
        held = keep(storage)
        storage.zero(keep_memory=True)
        assert storage.spare((6,)) is None
        del held
    storage = Storage(6)
    storage.write(torch.arange(6.0))
    storage.defer(lambda: torch.ones(6), keep_memory=True)
    assert storage.array((6,)).sum() == 6  # the promise has been kept in other memory
    assert storage.spare((6,)) is None


def test_an_array_lies_where_its_storage_says():
    made, given = Storage(6), Storage.around(np.arange(6, dtype=np.float32))
    made.write(torch.arange(6.0).view(2, 3))
    for storage in (made, given):
        array = storage.array((2, 3))
        assert storage.address() == array.ctypes.data
        array[...] = 7
        assert storage.tensor((6,)).tolist() == [7.0] * 6
        del array
        storage.write(torch.ones(2, 3))
        assert storage.array((2, 3)).sum() == 6


def test_what_is_lent_is_free_again_when_the_borrower_has_gone():
    class Borrower:
        pass

    storage = Storage(6)
    storage.write(full(1))
    tensor = storage.tensor(SHAPE)
    assert storage.holds(tensor)
    assert storage.lends
    borrower = Borrower()
    storage.lend_to(borrower)
    assert not storage.holds(tensor)
    assert storage.to_overwrite(tensor) is not tensor
    del borrower
    gc.collect()
    assert storage.holds(tensor)
    assert storage.to_overwrite(tensor) is tensor
    held = storage.array(SHAPE)
    assert not storage.lends
    assert held.sum() == 6


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


@pytest.mark.cpu_only
def test_memory_to_fill_is_not_what_was_lent():
    s = Storage(6)
    given = full(1)
    s.write(given)
    assert s.lend()
    s.to_fill(SHAPE).fill_(2)
    assert given.eq(1).all()


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
