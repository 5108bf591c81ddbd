"""AnnotatedData: pictures and objects stay together whatever is done to them; what is refused."""

import colorsys

import numpy as np
import pytest
from harness import TEST, TRAIN, Rig

import caffe
from caffe.data import db, image_files
from caffe.errors import DataError, LayerError
from caffe.layer.extensions import _ssd_pictures
from caffe.proto import caffe_pb2

BACK, MARK = 40, 220  # of the picture and of the marked objects


def record(pixels, objects):
    """An AnnotatedDatum; objects are (label, instance, xmin, ymin, xmax, ymax, difficult)."""
    made = caffe_pb2.AnnotatedDatum(type=caffe_pb2.AnnotatedDatum.BBOX)
    made.datum.CopyFrom(caffe.io.array_to_datum(pixels))
    for label, instance, *corners, difficult in objects:
        one = made.annotation_group.add(group_label=label).annotation.add(instance_id=instance)
        for name, value in zip(("xmin", "ymin", "xmax", "ymax"), corners):
            setattr(one.bbox, name, value)
        one.bbox.difficult = bool(difficult)
    return made.SerializeToString()


def marked(height, width, boxes, channels=3):
    """A picture whose boxes (left, top, right, bottom in pixels) are bright, and the objects."""
    pixels = np.full((channels, height, width), BACK, np.uint8)
    objects = []
    for i, (left, top, right, bottom) in enumerate(boxes):
        pixels[:, top:bottom, left:right] = MARK
        objects.append(
            (i + 1, i, left / width, top / height, right / width, bottom / height, i % 2)
        )
    return pixels, objects


PICTURES = [
    marked(40, 60, [(6, 8, 30, 20), (36, 10, 54, 36)]),
    marked(50, 50, []),
    marked(30, 20, [(2, 3, 12, 21)]),
]


def make(path, pictures=PICTURES):
    with db.create(path, "lmdb") as writer:
        for n, picture in enumerate(pictures):
            writer.put(b"%03d" % n, record(*picture))
    return path


def rig(path, transform="", annotated="", phase=TEST, batch=3, tops=2):
    text = f"""type: "AnnotatedData" transform_param {{ {transform} }}
        annotated_data_param {{ {annotated} }}
        data_param {{ source: "{path}" backend: LMDB batch_size: {batch} }}"""
    return Rig(text, tops=tops, phase=phase)


RESIZE = "resize_param { height: 30 width: 40 }"


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


def check_objects(data, rows, slack):
    """Each object's box encloses what is bright of it, to within ``slack`` of the picture."""
    _, _, height, width = data.shape
    for item, _, _, xmin, ymin, xmax, ymax, _ in rows:
        if item < 0:
            continue
        bright = data[int(item)].mean(0) > (BACK + MARK) / 2
        y, x = (np.arange(n) + 0.5 for n in (height, width))
        inside = np.outer(
            (y > (ymin + slack) * height) & (y < (ymax - slack) * height),
            (x > (xmin + slack) * width) & (x < (xmax - slack) * width),
        )
        assert bright[inside].all()


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


def test_a_mirrored_box():
    transformer = _ssd_pictures.AnnotatedTransformer(
        caffe_pb2.TransformationParameter(mirror=True), TRAIN
    )
    transformer.init_rand()
    pixels, objects = PICTURES[0]
    found = set()
    for _ in range(20):
        out = np.empty(pixels.shape, np.float32)
        rows = transformer.finish(pixels, np.array(objects, np.float32), out)
        mirrored = not np.array_equal(out, pixels)
        assert rows[0, 2:6] == pytest.approx(
            [0.5, 0.2, 0.9, 0.5] if mirrored else [0.1, 0.2, 0.5, 0.5]
        )
        found.add(mirrored)
    assert found == {True, False}


def test_colours_change_as_hsv_says():
    image = np.random.default_rng(0).integers(0, 256, (3, 4, 5)).astype(np.float32)

    def by_hand(turn=0.0, factor=1.0):
        out = np.empty_like(image)
        for y, x in np.ndindex(4, 5):
            h, s, v = colorsys.rgb_to_hsv(*image[::-1, y, x] / 255)
            changed = (h + turn / 180) % 1, min(s * factor, 1), v  # in OpenCV's steps of hue
            out[:, y, x] = np.array(colorsys.hsv_to_rgb(*changed)[::-1]) * 255
        return out

    for by in (0, 10, -25):
        np.testing.assert_allclose(_ssd_pictures.turned(image, by), by_hand(by), atol=1e-2)
    for by in (0.5, 1.0, 1.4):
        expected = by_hand(factor=by)
        np.testing.assert_allclose(_ssd_pictures.saturated(image, by), expected, atol=1e-2)


def test_distortion_keeps_sizes_and_objects(tmp_path):
    path = make(tmp_path / "d")
    words = """distort_param { brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5
        contrast_lower: 0.5 contrast_upper: 1.5 hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5
        saturation_lower: 0.5 saturation_upper: 1.5 random_order_prob: 0.5 }"""
    layer = rig(path, f"{RESIZE} {words}", phase=TRAIN)
    means = {tuple(layer.forward().mean((1, 2, 3)).round(2)) for _ in range(6)}
    assert len(means) > 3
    assert layer.top[1].data.shape == (1, 1, 3, 8)


@pytest.mark.parametrize("mode", ["AREA", "NEAREST", "CUBIC", "LANCZOS4"])
def test_other_ways_of_resizing(tmp_path, mode):
    words = f"resize_param {{ height: 80 width: 120 interp_mode: {mode} }}"
    data = rig(make(tmp_path / "d", PICTURES[:1]), words, batch=1).forward()
    check_objects(data, np.array([[0, 1, 0, 0.1, 0.2, 0.5, 0.5, 0]]), 0.03)


@pytest.mark.parametrize(
    ("transform", "annotated", "phase", "match"),
    [
        ("resize_param { height: 3 width: 3 prob: 0.5 }", "", TRAIN, "with prob 1"),
        ("resize_param { height: 3 }", "", TEST, "needs height and width"),
        ("noise_param { prob: 1 }", "", TRAIN, "noise_param } is a setting of SSD"),
        ("crop_h: 3", "", TRAIN, "crop_h and crop_w go together"),
        ("crop_size: 3 crop_h: 3 crop_w: 3", "", TRAIN, "not both"),
        (EXPAND, "", TEST, "expand_param change pictures at random"),
        ("", SAMPLERS, TEST, "batch_sampler change pictures at random"),
    ],
)
def test_what_is_refused(tmp_path, transform, annotated, phase, match):
    with pytest.raises(LayerError, match=match):
        rig(make(tmp_path / "d"), transform, annotated, phase)


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
