"""`resize_param` of SSD: sizes, borders, filters."""

import numpy as np
import pytest
from annotated import PICTURES, check_objects, make, rig

from caffe.errors import DataError


@pytest.mark.parametrize("mode", ["AREA", "NEAREST", "CUBIC", "LANCZOS4"])
def test_other_ways_of_resizing(tmp_path, mode):
    words = f"resize_param {{ height: 80 width: 120 interp_mode: {mode} }}"
    data = rig(make(tmp_path / "d", PICTURES[:1]), words, batch=1).forward()
    check_objects(data, np.array([[0, 1, 0, 0.1, 0.2, 0.5, 0.5, 0]]), 0.03)


@pytest.mark.parametrize(
    ("mode", "shapes"),
    [
        # 40 x 60, 50 x 50, 30 x 20 (height x width) to 64 x 80
        ("FIT_SMALL_SIZE", [(64, 96), (80, 80), (120, 80)]),
        ("FIT_LARGE_SIZE_AND_PAD pad_value: 10 pad_value: 20 pad_value: 30", [(64, 80)] * 3),
        ("FIT_LARGE_SIZE_AND_PAD pad_mode: MIRRORED", [(64, 80)] * 3),
    ],
)
def test_sizes_that_keep_a_pictures_shape(tmp_path, mode, shapes):
    words = f"resize_param {{ resize_mode: {mode} height: 64 width: 80 }}"
    layer = rig(make(tmp_path / "d"), words, batch=1)
    for picture, shape in zip(PICTURES, shapes):
        data = layer.forward()
        assert data.shape[2:] == shape
        rows = layer.top[1].data[0, 0]
        check_objects(data, rows, 0.03)
        for row, (*_, left, top, right, bottom, _) in zip(rows, picture[1]):
            # An object keeps its shape: as much higher than wide as in the stored picture.
            height, width = picture[0].shape[1:]
            tall, wide = (row[6] - row[4]) * shape[0], (row[5] - row[3]) * shape[1]
            before = (bottom - top) * height / ((right - left) * width)
            assert tall / wide == pytest.approx(before, rel=0.02)


def test_the_border_of_a_padded_picture(tmp_path):
    """30 x 20 becomes 60 x 40 in 60 x 61: 10 columns on the left, 11 on the right."""
    words = "resize_param { resize_mode: FIT_LARGE_SIZE_AND_PAD height: 60 width: 61 %s }"
    picture = np.random.RandomState(0).randint(60, 200, (3, 30, 20)).astype(np.uint8)
    path = make(tmp_path / "d", [(picture, [])])
    data = rig(path, words % "pad_value: 7", batch=1).forward()[0]
    assert (data[..., :10] == 7).all() and (data[..., 50:] == 7).all()
    assert (data[..., 10:50] > 50).all()
    edge = rig(path, words % "pad_mode: REPEAT_NEAREST", batch=1).forward()[0]
    assert (edge[..., :10] == edge[..., 10:11]).all() and (edge[..., 51:] == edge[..., 50:51]).all()
    mirrored = rig(path, words % "pad_mode: MIRRORED", batch=1).forward()[0]
    assert (mirrored[..., 9] == mirrored[..., 11]).all()
    with pytest.raises(DataError, match="1 pad_value or as many as channels"):
        rig(path, words % "pad_value: 7 pad_value: 8", batch=1).forward()
