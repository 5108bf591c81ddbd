"""The transformation of pictures: arithmetic, crops, draws, and what does not fit."""

import numpy as np
import pytest
from google.protobuf import text_format

from caffe import io, rng
from caffe.data import mean_file
from caffe.data.data_transformer import DataTransformer
from caffe.errors import DataError, LayerError
from caffe.proto import caffe_pb2

TRAIN, TEST = 0, 1
PIXELS = np.random.RandomState(0).randint(0, 256, (3, 6, 8)).astype(np.uint8)


def make(text, phase=TEST, seed=1):
    param = text_format.Parse(text, caffe_pb2.TransformationParameter())
    transformer = DataTransformer(param, phase)
    rng.set_random_seed(seed)
    transformer.init_rand()
    return transformer


def apply(transformer, pixels=PIXELS):
    out = np.full(transformer.shape(pixels), np.nan, np.float32)
    transformer.apply(pixels, out)
    return out


def test_nothing_asked_for():
    np.testing.assert_array_equal(apply(make("")), PIXELS)


def test_mean_before_scale():
    out = apply(make("mean_value: 10 mean_value: 20 mean_value: 30 scale: 0.5"))
    np.testing.assert_array_equal(out[1], (PIXELS[1].astype(np.float32) - 20) / 2)
    np.testing.assert_array_equal(apply(make("mean_value: 7")), PIXELS.astype(np.float32) - 7)


def test_a_mean_file_is_subtracted_where_the_crop_lies(tmp_path):
    mean = np.random.RandomState(1).rand(3, 6, 8).astype(np.float32)
    mean_file.write(tmp_path / "m", mean)
    out = apply(make(f'mean_file: "{tmp_path}/m" crop_size: 3'))
    np.testing.assert_array_equal(out, (PIXELS - mean)[:, 1:4, 2:5])


def test_draws_come_in_order_mirror_row_column_from_a_stream_of_its_own():
    transformer = make("crop_size: 4 mirror: true", TRAIN, seed=9)
    seed = np.random.RandomState(9).randint(0, 1 << 32, dtype=np.uint32)
    words = np.random.RandomState(seed).randint(0, 1 << 32, 30, dtype=np.uint32).tolist()
    mirrored = set()
    for mirror, row, column in zip(words[::3], words[1::3], words[2::3]):
        row, column = row % 3, column % 5
        expected = PIXELS[:, row : row + 4, column : column + 4]
        expected = expected[:, :, ::-1] if mirror % 2 else expected
        np.testing.assert_array_equal(apply(transformer), expected)
        mirrored.add(mirror % 2)
    assert mirrored == {0, 1}


def test_seeding_takes_a_word_only_where_chance_is_needed():
    first = rng.Generator(5).u32(1)[0]
    make("crop_size: 4", TEST, seed=5)
    assert rng.get().u32(1)[0] == first
    make("crop_size: 4", TRAIN, seed=5)
    assert rng.get().u32(1)[0] != first


def test_state_brings_the_draws_back():
    transformer = make("crop_size: 2", TRAIN)
    state = transformer.state()
    first = [apply(transformer) for _ in range(5)]
    transformer.set_state(state)
    for expected in first:
        np.testing.assert_array_equal(apply(transformer), expected)


def test_the_pixels_of_a_datum():
    transformer = make("")
    datum = io.array_to_datum(PIXELS, 3)
    np.testing.assert_array_equal(transformer.pixels(datum), PIXELS)
    numbers = io.array_to_datum(PIXELS.astype(np.float32) / 3)
    np.testing.assert_array_equal(transformer.pixels(numbers), PIXELS.astype(np.float32) / 3)
    numbers.data = PIXELS.tobytes()  # bytes win
    assert transformer.pixels(numbers).dtype == np.uint8


@pytest.mark.parametrize("change, says", [
    (lambda d: setattr(d, "data", d.data[:-1]), "143 bytes, its size is 3 x 6 x 8"),
    (lambda d: setattr(d, "height", -6), "expected as many values"),
    (lambda d: d.Clear(), "0 numbers"),
    (lambda d: setattr(d, "encoded", True), "Could not decode image of the datum"),
])  # fmt: skip
def test_bad_datums(change, says):
    datum = io.array_to_datum(PIXELS)
    change(datum)
    with pytest.raises(DataError, match=says):
        make("").pixels(datum)


def test_force_on_raw_datums_is_logged_once(monkeypatch):
    lines = []
    monkeypatch.setattr("caffe.glog.error", lambda source, text: lines.append(text))
    transformer = make("force_gray: true")
    for _ in range(2):
        assert transformer.pixels(io.array_to_datum(PIXELS)).shape == PIXELS.shape
    assert lines == ["force_color and force_gray only for encoded datum"]


@pytest.mark.parametrize("text, says", [
    ("crop_size: 7", "crop_size 7 is larger than the picture, 6 x 8"),
    ("mean_value: 1 mean_value: 2", "as many as channels: got 2 for 3"),
])  # fmt: skip
def test_pictures_that_do_not_fit(text, says):
    with pytest.raises(DataError, match=says):
        apply(make(text))


def test_a_mean_file_of_another_size(tmp_path):
    mean_file.write(tmp_path / "m", np.zeros((3, 6, 7), np.float32))
    with pytest.raises(DataError, match="is 3 x 6 x 7, the picture is 3 x 6 x 8"):
        apply(make(f'mean_file: "{tmp_path}/m"'))


def test_a_picture_unlike_the_first_of_its_batch():
    with pytest.raises(DataError, match="first one of the batch was 3 x 6 x 7"):
        make("").apply(PIXELS, np.empty((3, 6, 7), np.float32))


@pytest.mark.parametrize("text, says", [
    ('mean_file: "m" mean_value: 1', "mean_file and mean_value at the same time"),
    ("force_color: true force_gray: true", "cannot set both"),
])  # fmt: skip
def test_contradictions(text, says):
    with pytest.raises(LayerError, match=says):
        make(text)


def test_init_rand_is_needed():
    param = caffe_pb2.TransformationParameter(mirror=True)
    with pytest.raises(LayerError, match="init_rand"):
        apply(DataTransformer(param, TEST))


@pytest.mark.parametrize(
    "setting", ["resize_param { height: 3 }", "distort_param { }", "crop_h: 3"]
)
def test_what_ssd_does_to_pictures_is_refused_where_it_is_not_done(setting):
    with pytest.raises(LayerError, match=f"{setting.split()[0].strip(':')} }} is a setting of SSD"):
        make(setting)
