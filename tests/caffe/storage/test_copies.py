"""Where the numbers lie: what moves between the host and devices, and when."""

import numpy as np
import pytest
import torch
from six_numbers import SHAPE, full, on

from caffe.device import current
from caffe.storage import Storage

PLACES = ["cpu", "mirror", "pretend0", "pretend1"]


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


def test_the_mirror_keeps_memory_of_its_own():
    from caffe.device import set_mode_mirror

    set_mode_mirror()
    s = Storage(6)
    array = s.array(SHAPE)
    tensor = s.tensor(SHAPE)
    tensor.add_(1)  # without touch(): as a device write that was not announced
    assert (array == 0).all()


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


def test_numbers_cost_no_upload_and_leave_the_cache(device):
    s = Storage(6)
    s.write(full(4))
    before, tensor = s.version(), s.tensor(SHAPE)
    s.numbers(SHAPE)
    assert s.version() == before
    assert s.tensor(SHAPE) is tensor
