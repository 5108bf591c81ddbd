"""Bytes to a device, and numbers there: the host's, bit for bit."""

import numpy as np
import pytest

import caffe
from caffe.blob import Blob
from caffe.levels import Levels


def by_hand(pixels, tables, windows):
    result = np.zeros(pixels.shape, np.float32)
    for n, (y, x, h, w) in enumerate(windows):
        for c in range(pixels.shape[1]):
            here = (n, c, slice(y, y + h), slice(x, x + w))
            result[here] = tables[n, c][pixels[here]]
    return result


@pytest.mark.parametrize("windows", [[(0, 0, 6, 7)] * 2, [(1, 2, 4, 3), (0, 0, 6, 2)]])
def test_bytes_become_what_the_tables_say(device, windows):
    rng = np.random.RandomState(0)
    top, levels = Blob((2, 3, 6, 7)), Levels()
    for _ in range(2):  # the second time with tables that are there, then with others
        pixels = rng.randint(0, 256, (2, 3, 6, 7)).astype(np.uint8)
        tables = rng.randn(2, 3, 256).astype(np.float32)
        for _ in range(2):
            levels.write(top, pixels, tables, np.array(windows, np.int32))
            want = by_hand(pixels, tables, windows)
            np.testing.assert_array_equal(top.data, want)
            pixels ^= 5  # what was given may be written again


@pytest.mark.cpu_only
def test_on_the_cpu_there_is_no_way_to_go():
    assert not Levels.worthwhile()
    caffe.device.set_mode_mirror()
    assert Levels.worthwhile()


def test_tables_follow_to_another_device(pretend):
    """The same ones, which would be taken for those that are up already."""
    rng = np.random.RandomState(1)
    top, levels = Blob((1, 3, 6, 7)), Levels()
    pixels = rng.randint(0, 256, (1, 3, 6, 7)).astype(np.uint8)
    tables, windows = rng.randn(1, 3, 256).astype(np.float32), np.array([[0, 0, 6, 7]])
    for index in (0, 1, 0):
        pretend.set_mode_pretend(index)
        levels.write(top, pixels, tables, windows)
        assert str(top.data_tensor().device) == f"pretend:{index}"
        np.testing.assert_array_equal(top.data, by_hand(pixels, tables, windows))
