"""Sizes for labelling, and label maps at another size."""

import numpy as np

from fcn.inference.scaling import ENLARGED, enlarge_label, scale_to, size_for


def test_sizes():
    assert size_for((3024, 4032), (360, 480)) == (360, 480)
    assert size_for((4032, 3024), (360, 480)) == (480, 360)
    assert size_for((200, 300), (360, 480)) == (200, 300)  # nothing is enlarged unasked
    assert size_for((200, 300), (360, 480), 600) == (400, 600)
    assert size_for((200, 3000), (360, 480), "native") == (200, 3000)


def test_thumbnails_are_enlarged_where_the_net_wants_it():
    assert size_for((128, 128), (500, 500), enlarge=True) == (500, 500)
    assert size_for((150, 200), (500, 500), enlarge=True) == (375, 500)
    assert size_for((20, 20), (500, 500), enlarge=True) == (80, 80)  # four times is the most
    assert size_for((400, 3), (500, 500), enlarge=True) == (1600, 12)
    assert size_for((3024, 4032), (500, 500), enlarge=True) == (375, 500)
    assert size_for((64, 64), (500, 500), "native", enlarge=True) == (64, 64)
    assert size_for((64, 64), (500, 500), 100, enlarge=True) == (100, 100)
    assert ENLARGED == ("voc",)  # a small picture of cells is a part of a larger one


def test_the_scale_of_a_panorama_follows_from_its_narrow_side():
    """Reduced to a training picture's length, 6000x800 would be 67 pixels high."""
    assert size_for((800, 6000), (500, 500)) == (250, 1875)
    assert size_for((6000, 800), (500, 500), enlarge=True) == (1875, 250)
    assert size_for((1000, 2000), (500, 500)) == (250, 500)  # 2:1 is none
    assert size_for((100, 6000), (360, 480)) == (100, 6000)  # nothing is enlarged unasked
    assert size_for((800, 6000), (500, 500), 600) == (80, 600)  # unless the user says how long


def test_labels_are_enlarged_with_straight_borders():
    y, x = np.mgrid[:8, :8]
    label = np.where(x > y, 200, 7).astype(np.uint8)
    large = enlarge_label(label, (64, 64))
    assert set(np.unique(large)) == {7, 200}
    assert (large[4::8, 4::8] == label).all()
    # A diagonal stays one, and does not become steps of eight pixels.
    left = [int(np.flatnonzero(row == 200)[0]) for row in large[8:48]]
    assert max(b - a for a, b in zip(left, left[1:])) <= 3, left


def test_one_class_and_the_same_size():
    assert (enlarge_label(np.full((3, 4), 9, np.uint8), (30, 40)) == 9).all()
    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert enlarge_label(label, (3, 4)) is label


def test_what_is_reduced_is_averaged():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    small = scale_to(stripes, (8, 8))
    assert small.shape == (8, 8, 3) and abs(small.astype(int) - 100).max() < 20
