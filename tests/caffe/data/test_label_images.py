"""Label images: reading, resizing, and one crop and mirror for picture and labels."""

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

import caffe
from caffe.data.label_images import LabelledTransformer, read_labels, resize_labels
from caffe.errors import DataError, LayerError
from caffe.proto import caffe_pb2

TRAIN, TEST = 0, 1
LABELS = np.arange(20, dtype=np.uint8).reshape(4, 5)


def transformer(text="", phase=TRAIN, **options):
    caffe.set_random_seed(3)
    param = text_format.Parse(text, caffe_pb2.TransformationParameter())
    made = LabelledTransformer(param, phase, **options)
    made.init_rand()
    return made


def apply(made, height=6, width=8):
    """A picture whose pixels say where they are, and labels that say the same."""
    place = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    pixels = np.stack([place, place + 100])
    out = np.empty(made.shape(pixels), np.float32)
    labels = np.empty(out.shape[1:], np.float32)
    made.apply_to_both(pixels, place, out, labels)
    return out, labels


def test_labels_are_greys_or_the_indices_of_a_palette(tmp_path):
    grey, palette = tmp_path / "grey.png", tmp_path / "palette.png"
    Image.fromarray(LABELS).save(grey)
    image = Image.fromarray(LABELS, "P")
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    image.save(palette)
    for path in (grey, palette):
        assert np.array_equal(read_labels(path), LABELS)
    same = tmp_path / "same.png"
    Image.fromarray(np.stack([LABELS] * 3, 2)).save(same)
    assert np.array_equal(read_labels(same), LABELS)


def test_colours_are_no_labels(tmp_path):
    path = tmp_path / "colours.png"
    Image.fromarray(np.stack([LABELS, LABELS, LABELS + 1], 2)).save(path)
    with pytest.raises(DataError, match="colours.png has colours: expected one class a pixel"):
        read_labels(path)
    with pytest.raises(DataError, match="Could not open"):
        read_labels(tmp_path / "missing.png")


@pytest.mark.parametrize("size", [(4, 5), (8, 10), (3, 3), (7, 11), (1, 1), (2, 9)])
def test_nearest_labels_are_opencvs(size):
    cv2 = pytest.importorskip("cv2", reason="the extra of the tests has opencv-python-headless")
    expected = cv2.resize(LABELS, size[::-1], interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(resize_labels(LABELS, *size), expected)


@pytest.mark.parametrize(
    "text", ["", "mirror: true", "crop_size: 4 mirror: true", "crop_h: 3 crop_w: 8"]
)
def test_labels_follow_the_picture(text):
    made = transformer(text)
    views = set()
    for _ in range(20):
        out, labels = apply(made)
        assert np.array_equal(out[0], labels) and np.array_equal(out[1], labels + 100)
        views.add((labels[0, 0], labels[0, 1]))
    assert len(views) == 1 if not text else len(views) > 1


def test_the_crop_is_central_in_the_test_phase():
    out, labels = apply(transformer("crop_size: 4", TEST))
    assert labels[0].tolist() == [10, 11, 12, 13]


def test_mean_and_scale_are_for_the_picture_alone():
    out, labels = apply(transformer("mean_value: 1 mean_value: 2 scale: 0.5"))
    place = np.arange(48).reshape(6, 8)
    assert np.array_equal(labels, place)
    assert np.array_equal(out, np.stack([place - 1, place + 98]) * 0.5)


@pytest.mark.parametrize("phase", [TRAIN, TEST])
def test_a_small_picture_is_padded_below_and_on_the_right(phase):
    made = transformer("crop_size: 8 mean_value: 5 mean_value: 7", phase, pads=True, ignore_label=9)
    out, labels = apply(made, 6, 5)
    place = np.arange(30).reshape(6, 5)
    assert np.array_equal(out[0, :6, :5], place - 5) and np.array_equal(labels[:6, :5], place)
    assert not out[:, 6:].any() and not out[:, :, 5:].any()
    assert (labels[6:] == 9).all() and (labels[:, 5:] == 9).all()


def test_a_picture_may_be_small_one_way_and_cropped_the_other():
    out, labels = apply(transformer("crop_size: 7", TEST, pads=True), 6, 8)
    assert np.array_equal(labels[:6], np.arange(48).reshape(6, 8)[:, :7])
    assert (labels[6:] == 255).all() and not out[:, 6:].any()


def test_what_does_not_fit():
    with pytest.raises(DataError, match="crop of 7 x 7 is larger than the picture, 6 x 8"):
        apply(transformer("crop_size: 7"))
    with pytest.raises(DataError, match="the picture is 2 x 3.*its label image 3 x 2"):
        transformer().apply_to_both(
            np.zeros((1, 2, 3), np.uint8), np.zeros((3, 2), np.uint8), *[np.zeros(1)] * 2
        )
    for text in ("crop_h: 3", "crop_h: 3 crop_w: 3 crop_size: 3"):
        with pytest.raises(LayerError, match="give crop_size, or crop_h and crop_w"):
            transformer(text)
    with pytest.raises(LayerError, match="distort_param"):
        transformer("distort_param { }")
