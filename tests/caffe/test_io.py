"""caffe.io: the same arrays, messages and errors as pycaffe's (make_io.py), and image files."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from caffe import io
from caffe.proto import caffe_pb2

FOLDER = Path(__file__).parent / "golden"
_spec = importlib.util.spec_from_file_location("make_io", FOLDER / "make_io.py")
make_io = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_io)
GOLDEN = json.loads((FOLDER / "io.json").read_text())


def compare(got, expected):
    if isinstance(expected, dict):
        assert got["dtype"] == expected["dtype"]
        assert got["shape"] == expected["shape"]
        largest = max(map(abs, expected["values"]))
        assert largest > 0, "a comparison with zeros shows nothing"
        np.testing.assert_allclose(got["values"], expected["values"], atol=1e-6 * largest)
    elif isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected):
            compare(one, other)
    else:
        assert got == expected


@pytest.mark.parametrize("name", sorted(make_io.CASES))
def test_result_is_that_of_pycaffe(name):
    got, expected = make_io.run(name), GOLDEN[name]
    if "raises" in expected:
        assert expected["raises"][0] in got.get("raises", [])
    else:
        assert "value" in got, got
        compare(got["value"], expected["value"])


def test_golden_covers_every_case():
    assert GOLDEN["engine"].startswith("BVLC Caffe")
    assert set(GOLDEN) - {"engine"} == set(make_io.CASES)


@pytest.fixture
def save(tmp_path):
    def save(array, mode=None, name="image.png", **options):
        image = Image.fromarray(np.asarray(array))
        image = image if mode is None else image.convert(mode)
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14
GREY = np.arange(6, dtype=np.uint8).reshape(2, 3) * 50


def test_load_image_in_colour(save):
    image = io.load_image(save(RGB))
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, RGB / 255, rtol=1e-6)


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_load_image_repeats_grey(save, mode):
    grey = np.where(GREY > 100, 255, 0).astype(np.uint8) if mode == "1" else GREY
    path = save(grey, mode)
    np.testing.assert_allclose(io.load_image(path), np.stack(3 * [grey / 255], -1), rtol=1e-6)
    np.testing.assert_allclose(io.load_image(path, color=False)[:, :, 0], grey / 255, rtol=1e-6)


def test_load_image_of_sixteen_bits(save):
    path = save((np.arange(6).reshape(2, 3) * 13107).astype(np.uint16))
    expected = np.arange(6).reshape(2, 3, 1) / 5
    np.testing.assert_allclose(io.load_image(path, color=False), expected, rtol=1e-6)


def test_load_image_drops_alpha_and_resolves_palettes(save, recwarn):
    alpha = np.dstack([RGB, np.full((2, 3), 7, np.uint8)])
    np.testing.assert_allclose(io.load_image(save(alpha)), RGB / 255, rtol=1e-6)
    path = save(RGB, "P", transparency=bytes([0, 9]))
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGBA"))[:, :, :3] / 255
    np.testing.assert_allclose(io.load_image(path), expected, rtol=1e-6)
    assert not recwarn.list


def test_load_image_makes_luminance_of_colour(save):
    image = io.load_image(save(RGB), color=False)
    assert image.shape == (2, 3, 1)
    expected = RGB / 255 @ np.array([0.2125, 0.7154, 0.0721])
    np.testing.assert_allclose(image[:, :, 0], expected, rtol=1e-5, atol=1e-6)


def test_load_image_names_what_is_missing(tmp_path):
    with pytest.raises(OSError, match=r"none\.png"):
        io.load_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(OSError, match=r"text\.png"):
        io.load_image(tmp_path / "text.png")


def transformer(shape=(1, 3, 4, 5)):
    return io.Transformer({"data": shape})


def test_preprocess_leaves_the_callers_array_alone():
    image = np.ones((4, 5, 3), np.float32)
    t = transformer()
    t.set_raw_scale("data", 255)
    assert t.preprocess("data", image).max() == 255
    assert image.max() == 1


def test_there_and_back_of_one_channel():
    t = transformer((1, 1, 4, 5))
    t.set_transpose("data", (2, 0, 1))
    t.set_raw_scale("data", 255)
    image = make_io.image(4, 5, 1)
    back = t.deprocess("data", t.preprocess("data", image)[np.newaxis])
    np.testing.assert_allclose(back, image, rtol=1e-6)


def test_a_mean_image_that_is_constant_stays_so_when_resized():
    t = transformer()
    t.set_mean("data", np.full((3, 9, 9), 7.0))
    np.testing.assert_array_equal(t.mean["data"], np.full((3, 4, 5), 7, np.float32))


def test_a_mean_image_without_channel_axis():
    t = transformer()
    t.set_mean("data", np.arange(20.0).reshape(4, 5))
    assert t.mean["data"].shape == (1, 4, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.set_mean("data", np.ones(4)), "expected 3, got 4"),
        (lambda t: t.set_mean("data", np.ones((2, 4, 5))), "expected 3, got 2"),
        (lambda t: t.set_transpose("data", (0, 1)), r"expected 3 axes, got \(0, 1\)"),
        (lambda t: t.set_channel_swap("data", (0, 1)), r"expected 3, got \(0, 1\)"),
        (lambda t: t.preprocess("image", np.ones((4, 5, 3))), "image is not one of the net inputs"),
        (lambda t: t.preprocess("data", np.ones((8, 9))), r"an image \(H, W, C\)"),
        (lambda t: io.oversample([], (2, 2)), "at least one image"),
        (lambda t: io.oversample([np.ones((3, 3, 1))], (4, 2)), "crops of 4×2 do not fit"),
        (
            lambda t: io.oversample([np.ones((3, 3, 1)), np.ones((4, 4, 1))], (2, 2)),
            "images of one shape",
        ),
        (lambda t: io.datum_to_array(caffe_pb2.Datum(encoded=True)), "encoded image file"),
    ],
)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call(transformer())


def test_double_data_is_read_too():
    blob = caffe_pb2.BlobProto(double_data=[1.5, 2.5])
    blob.shape.dim.append(2)
    np.testing.assert_array_equal(io.blobproto_to_array(blob), [1.5, 2.5])


def test_resize_of_higher_splines_keeps_range_and_size():
    for order in (2, 4, 5):
        out = io.resize_image(make_io.image(12, 12, 3), (7, 20), interp_order=order)
        assert out.shape == (7, 20, 3)
        assert out.dtype == np.float32
        assert 0 <= out.min() < out.max() <= 1


def test_load_image_runs_no_program(tmp_path):
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 2 2\n%%EndComments\nloop\n")
    with pytest.raises(UnidentifiedImageError):
        io.load_image(path)
