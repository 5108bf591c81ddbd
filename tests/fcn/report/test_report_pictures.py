"""Pictures of a report."""

import numpy as np
import pytest

from fcn.report.pictures import wrong_pixels

pytestmark = pytest.mark.slow


def test_wrong_pixels_are_red_and_void_is_not():
    photo = np.full((1, 3, 3), 100, np.uint8)
    truth, labels = np.array([[1, 1, 255]], np.uint8), np.array([[1, 2, 2]], np.uint8)
    red = wrong_pixels(photo, truth, labels)[0]
    assert (red[0] == red[2]).all() and red[0].min() == red[0].max()
    assert red[1][0] > red[1][1] + 50
