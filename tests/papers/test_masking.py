"""The study of masked foreground and background."""

import numpy as np
import pytest
from studies import quick

from papers.masking import foreground_iu


def test_foreground_iu_leaves_the_background_out():
    hist = np.array([[8, 1, 1], [0, 3, 1], [0, 0, 0]])
    assert abs(foreground_iu(hist, [1]) - 3 / 5) < 1e-9


@pytest.mark.slow
def test_quick_mode(camvid, tmp_path):
    quick("masking", tmp_path, "--camvid", camvid, "--seeds", "1")
