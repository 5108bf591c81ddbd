"""Values that go where a pooling mask says."""

import numpy as np
import pytest
from harness import Rig

from caffe.errors import DataError

X = np.array([[[[1, 2], [3, 4]]]], np.float32)


def rig():
    return Rig('type: "Upsample" upsample_param { upsample_h: 3 upsample_w: 3 }', X.shape, X.shape)


def test_values_go_where_the_mask_says_and_gradients_come_back_from_there():
    r = rig()
    top = r.forward(X, np.array([[[[0, 2], [4, 8]]]], np.float32))
    assert top.ravel().tolist() == [1, 0, 2, 0, 3, 0, 0, 0, 4]
    (diff, _) = r.backward(np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3))
    assert diff.ravel().tolist() == [0, 2, 4, 8]


def test_of_two_values_of_one_place_the_last_stays_and_alone_gets_the_gradient():
    r = rig()
    top = r.forward(X, np.array([[[[5, 5], [-1, 5]]]], np.float32))
    assert top.ravel().tolist() == [0, 0, 0, 0, 0, 4, 0, 0, 0]  # -1 places nothing
    (diff, _) = r.backward(np.ones((1, 1, 3, 3), np.float32))
    assert diff.ravel().tolist() == [0, 0, 0, 1]


def test_a_mask_of_another_image_is_refused():
    with pytest.raises(DataError, match=r"points outside the top of \[3, 3\].*the value 9"):
        rig().forward(X, np.array([[[[0, 2], [4, 9]]]], np.float32))
