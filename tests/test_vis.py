"""The published vis.py's names and numbers."""

import numpy as np
import pytest

import vis


def test_the_palette_is_vocs():
    palette = vis.make_palette(256)
    assert palette.dtype == np.uint8 and palette.shape == (256, 3)
    assert palette[[0, 1, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]
    assert vis.make_palette(21).tolist() == palette[:21].tolist()


def test_labels_become_colours_over_the_picture():
    image = np.full((2, 2, 3), 201, np.uint8)
    seg = np.array([[0, 1], [2, 0]])
    palette = vis.make_palette(3)
    assert vis.color_seg(seg, palette)[1, 0].tolist() == [0, 128, 0]
    over = vis.vis_seg(image, seg, palette)
    assert over.dtype == np.uint8
    assert over[0, 0].tolist() == [201, 201, 201]  # class 0 is left alone
    assert over[0, 1].tolist() == [164, 100, 100]  # (201 + 128) / 2 and 201 / 2, cut off
    assert vis.vis_seg(image, seg, palette, 1)[0, 1].tolist() == [128, 0, 0]
    assert image.max() == 201  # the caller's own stays


def test_sizes_that_differ_are_an_error():
    with pytest.raises(ValueError, match=r"\(2, 3, 3\) and \(2, 2\)"):
        vis.vis_seg(np.zeros((2, 3, 3)), np.zeros((2, 2), int), vis.make_palette(2))
