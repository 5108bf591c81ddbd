"""The study of what coarse labels allow."""

import numpy as np
import pytest
from studies import quick

from papers import label_bound


def test_the_bound_is_one_where_cells_are_of_one_class():
    label = np.arange(6).reshape(2, 3).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    for factor in (4, 2):
        found = label_bound.bound([label], 6, factor)
        assert found["centre"] == found["most frequent"] == 1
    assert label_bound.bound([label], 6, 8)["most frequent"] < 0.5


def test_frequent_and_centre_of_cells_that_are_cut_off():
    label = np.array([[0, 0, 1], [0, 1, 1], [2, 2, 255]], np.uint8)
    assert label_bound.frequent(label, 2, 3).tolist() == [[0, 1], [2, 0]]
    assert label_bound.centres(label, 2).tolist() == [[1, 1], [2, 0]]


def test_interpolation_of_two_cells_meets_in_the_middle():
    found = label_bound.interpolated(np.array([[0, 1]]), 4, (4, 8), 2)
    assert found.tolist() == [[0] * 4 + [1] * 4] * 4


@pytest.mark.slow
def test_quick_mode(camvid, tmp_path):
    quick("label_bound", tmp_path, "--camvid", camvid)
