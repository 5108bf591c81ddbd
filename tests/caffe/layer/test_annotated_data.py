"""AnnotatedData: pictures and objects stay together whatever is done to them; what is refused."""

import numpy as np
import pytest
from annotated import PICTURES, RESIZE, check_objects, make, rig
from harness import TEST, TRAIN

import caffe
from caffe.data import db, image_files
from caffe.errors import DataError, LayerError


def test_pictures_and_rows(device, tmp_path):
    layer = rig(make(tmp_path / "d"), RESIZE + " mean_value: 10 scale: 0.5")
    assert [b.dims for b in layer.top] == [(3, 3, 30, 40), (1, 1, 1, 8)]
    data = layer.forward()
    for item, (pixels, _) in enumerate(PICTURES):
        small = image_files.resize(np.ascontiguousarray(pixels.transpose(1, 2, 0)), 30, 40)
        assert np.array_equal(data[item], (small.transpose(2, 0, 1) - np.float32(10)) / 2)
    rows = layer.top[1].data
    assert rows.shape == (1, 1, 3, 8)
    assert np.allclose(
        rows[0, 0],
        [
            [0, 1, 0, 0.1, 0.2, 0.5, 0.5, 0],
            [0, 2, 1, 0.6, 0.25, 0.9, 0.9, 1],
            [2, 1, 0, 0.1, 0.1, 0.6, 0.7, 0],
        ],
    )


def test_a_batch_without_objects_and_around_the_end(tmp_path):
    layer = rig(make(tmp_path / "d"), RESIZE, batch=1)
    counts = []
    for _ in range(4):
        layer.forward()
        counts.append(layer.top[1].data[0, 0, :, 0].tolist())
    assert counts == [[0, 0], [-1], [0], [0, 0]]
    assert rig(tmp_path / "d", RESIZE, tops=1).forward().shape == (3, 3, 30, 40)


def test_each_picture_its_size_without_resize_param(tmp_path):
    layer = rig(make(tmp_path / "d"), batch=1)
    assert [layer.forward().shape[2:] for _ in range(3)] == [(40, 60), (50, 50), (30, 20)]
    with pytest.raises(DataError, match="record '001'.*set resize_param"):
        rig(tmp_path / "d", batch=2).forward()


EXPAND = "expand_param { prob: 0.7 max_expand_ratio: 3 } mean_value: 40"


SAMPLERS = """batch_sampler { max_sample: 1 max_trials: 1 }
    batch_sampler { sampler { min_scale: 0.4 max_scale: 1 min_aspect_ratio: 0.5
      max_aspect_ratio: 2 } sample_constraint { min_jaccard_overlap: 0.1 } max_sample: 1
      max_trials: 50 }"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("transform", "annotated"),
    [
        ("mirror: true", ""),
        (EXPAND, ""),
        ("", SAMPLERS),
        (f"mirror: true {EXPAND} emit_constraint {{ emit_type: CENTER }}", SAMPLERS),
        ("emit_constraint { emit_type: MIN_OVERLAP emit_overlap: 0.5 }", SAMPLERS),
    ],
)
def test_boxes_go_with_what_they_mark(tmp_path, transform, annotated):
    large = [(np.kron(p, np.ones((1, 8, 8), np.uint8)), objects) for p, objects in PICTURES]
    path = make(tmp_path / "d", large)  # parts begin at whole pixels, as in SSD
    caffe.set_random_seed(3)
    layer = rig(path, "resize_param { height: 120 width: 160 } " + transform, annotated, TRAIN)
    seen = []
    for _ in range(8):
        data = layer.forward()
        if "mean_value" in transform:
            data = data + 40
        rows = layer.top[1].data[0, 0]
        assert rows[:, 3:7].min() >= -1 and rows[:, 3:7].max() <= 1
        check_objects(data, rows, 0.02)
        seen.append((data, rows.copy()))
    assert any(not np.array_equal(a[0], seen[0][0]) for a in seen[1:])
    caffe.set_random_seed(3)
    again = rig(path, "resize_param { height: 120 width: 160 } " + transform, annotated, TRAIN)
    for data, rows in seen[:3]:
        found = again.forward() + (40 if "mean_value" in transform else 0)
        assert np.array_equal(found, data) and np.array_equal(again.top[1].data[0, 0], rows)


@pytest.mark.parametrize(
    ("transform", "annotated", "phase", "match"),
    [
        ("resize_param { height: 3 width: 3 prob: 0.5 }", "", TRAIN, "with prob 1"),
        ("resize_param { height: 3 }", "", TEST, "needs height and width"),
        ("crop_h: 3", "", TRAIN, "crop_h and crop_w go together"),
        ("crop_size: 3 crop_h: 3 crop_w: 3", "", TRAIN, "not both"),
        (EXPAND, "", TEST, "expand_param change pictures at random"),
        ("", SAMPLERS, TEST, "batch_sampler change pictures at random"),
    ],
)
def test_what_is_refused(tmp_path, transform, annotated, phase, match):
    with pytest.raises(LayerError, match=match):
        rig(make(tmp_path / "d"), transform, annotated, phase)


@pytest.mark.parametrize("phase", [TRAIN, TEST])
@pytest.mark.parametrize("crop", ["crop_size: 40", "crop_h: 30 crop_w: 44"])
def test_crops_take_their_objects_along(tmp_path, crop, phase):
    caffe.set_random_seed(3)
    words = f"resize_param {{ height: 60 width: 90 }} mirror: true {crop}"
    layer = rig(make(tmp_path / "d"), words, phase=phase)
    seen = 0
    for _ in range(4):
        data = layer.forward()
        assert data.shape[2:] == ((40, 40) if "size" in crop else (30, 44))
        rows = layer.top[1].data[0, 0]
        check_objects(data, rows, 0.03)
        seen += (rows[:, 0] >= 0).sum()
    assert seen > 4


def test_a_crop_in_test_is_the_middle(tmp_path):
    picture = np.arange(4 * 6, dtype=np.uint8).reshape(1, 4, 6)
    path = make(tmp_path / "d", [(picture, [(1, 0, 0, 0, 0.5, 0.5, 0)])])
    layer = rig(path, "crop_h: 2 crop_w: 4", batch=1)
    assert np.array_equal(layer.forward()[0], picture[:, 1:3, 1:5])
    assert np.allclose(layer.top[1].data[0, 0, 0], [0, 1, 0, 0, 0, 0.5, 0.5, 0])
    with pytest.raises(DataError, match=r"crop of 5 x 4 is larger than the picture, 4 x 6"):
        rig(path, "crop_h: 5 crop_w: 4", batch=1).forward()


def test_a_mean_that_does_not_fit(tmp_path):
    with pytest.raises(DataError, match="1 mean_value or as many as channels"):
        rig(make(tmp_path / "d"), RESIZE + " mean_value: 1 mean_value: 2").forward()


def test_a_database_of_plain_datums(tmp_path):
    with db.create(tmp_path / "d", "lmdb") as writer:
        datum = caffe.io.array_to_datum(PICTURES[0][0], 3)
        writer.put(b"0", datum.SerializeToString())
    with pytest.raises(DataError, match="record '0' of .*database of plain Datums"):
        rig(tmp_path / "d", RESIZE, batch=1)
