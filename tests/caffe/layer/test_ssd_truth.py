"""Which box stands for which object."""

import numpy as np

from caffe.layer.extensions import _ssd_truth


def test_of_equal_overlaps_the_first_box_and_object_match():
    boxes = np.array([[0.5, 0, 1, 1], [0, 0, 0.5, 1], [0, 0, 0.5, 1]], np.float32)
    objects = np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1], [0, 0, 0.5, 1]], np.float32)
    found, best = _ssd_truth.match(boxes, objects, 0, 0.5, False)
    assert found.tolist() == [1, 0, 2] and best.tolist() == [1, 1, 1]
