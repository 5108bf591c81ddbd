"""noise_param of SSD's pictures: every change against OpenCV, their order, and what is refused."""

import numpy as np
import pytest
from annotated import RESIZE, make, rig
from google.protobuf import text_format

from caffe.errors import LayerError
from caffe.layer.extensions import _ssd_noise as ssd_noise
from caffe.proto import caffe_pb2


def picture(height=45, width=52, channels=3):
    """A smooth picture with some noise on it."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (5 + c)) + np.cos(y / (7 - c)) for c in range(channels)]
    smooth = 128 + 50 * np.stack(waves) + rng.normal(0, 6, (channels, height, width))
    return smooth.clip(0, 255).astype(np.uint8)


def noise(words):
    return text_format.Parse(words, caffe_pb2.NoiseParameter())


def noisy(pixels, words, seed=0):
    rng = np.random.default_rng(seed)
    return ssd_noise.noisy(pixels, noise(words), lambda n: int(rng.integers(n)))


def by_opencv(pixels, change):
    cv2 = pytest.importorskip("cv2", reason="needs opencv-python-headless")
    array = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    made = change(cv2, array)
    return made[None] if made.ndim == 2 else made.transpose(2, 0, 1)


def of_y(cv2, array, change):
    if array.ndim == 2:
        return change(array)
    y, *colours = cv2.split(cv2.cvtColor(array, cv2.COLOR_BGR2YCrCb))
    return cv2.cvtColor(cv2.merge([change(y), *colours]), cv2.COLOR_YCrCb2BGR)


def through_jpeg(cv2, array):
    written = cv2.imencode(".jpg", array, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return cv2.imdecode(written, cv2.IMREAD_UNCHANGED)


CHANGES = {
    "gauss_blur: true": (1, lambda cv2, a: cv2.GaussianBlur(a, (7, 7), 1.5)),
    "hist_eq: true": (1, lambda cv2, a: of_y(cv2, a, cv2.equalizeHist)),
    "clahe: true": (2, lambda cv2, a: of_y(cv2, a, cv2.createCLAHE(4.0, (8, 8)).apply)),
    "jpeg: 30": (3, through_jpeg),
    "erode: true": (0, lambda cv2, a: cv2.erode(a, cv2.getStructuringElement(2, (3, 3)))),
    "inverse: true": (0, lambda cv2, a: cv2.bitwise_not(a)),
    "posterize: true": (0, lambda cv2, a: a // 64 * 64 + 32),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(45, 52), (48, 64)], ids=["odd", "whole tiles"])
@pytest.mark.parametrize("words", CHANGES)
def test_a_change_is_opencvs(words, size, channels):
    levels, change = CHANGES[words]
    pixels = picture(*size, channels)
    found = noisy(pixels, words)
    expected = by_opencv(pixels, change)
    assert found.dtype == np.uint8 and found.shape == pixels.shape
    assert not np.array_equal(found, pixels)
    assert np.abs(found.astype(int) - expected).max() <= levels


COLOURS = {
    "decolorize: true": (0, "BGR2GRAY", 1),
    "convert_to_hsv: true": (1, "BGR2HSV", 1),
    "convert_to_lab: true": (0.4, "BGR2Lab", 255),  # OpenCV looks roots up in a table
}


@pytest.mark.parametrize("words", COLOURS)
def test_other_colours_are_opencvs(words):
    levels, name, divisor = COLOURS[words]
    pixels = picture()
    found = noisy(pixels, words)

    def convert(cv2, array):
        array = array if divisor == 1 else array.astype(np.float32) / divisor
        made = cv2.cvtColor(array, getattr(cv2, f"COLOR_{name}"))
        return made if made.ndim == 3 else np.stack([made] * 3, 2)

    apart = np.abs(found.astype(float) - by_opencv(pixels, convert))
    if "hsv" in words:
        apart[0] = np.minimum(apart[0], 180 - apart[0])
    assert apart.max() <= levels


def test_all_changes_come_in_ssds_order():
    pixels = picture()
    both = noisy(pixels, "erode: true posterize: true inverse: true")
    one_by_one = pixels
    for words in ("erode: true", "posterize: true", "inverse: true"):
        one_by_one = noisy(one_by_one, words)
    assert np.array_equal(both, one_by_one)
    assert np.array_equal(noisy(pixels, ""), pixels)


def test_salt_and_pepper():
    pixels = picture()
    found = noisy(pixels, "saltpepper: true saltpepper_param { fraction: 0.05 value: 1 value: 2 "
                          "value: 3 }")  # fmt: skip
    changed = (found != pixels).any(0)
    assert 0 < changed.sum() <= 0.05 * changed.size
    assert (found[:, changed] == [[1], [2], [3]]).all()
    with pytest.raises(LayerError, match="for each of 3 channels; got 2"):
        noisy(pixels, "saltpepper: true saltpepper_param { fraction: 0.1 value: 1 value: 2 }")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ("jpeg: 101", "quality up to 100"),
        ("saltpepper: true saltpepper_param { fraction: 2 }", "a share, 0 to 1, got 2"),
        ("convert_to_hsv: true convert_to_lab: true", "one of convert_to_hsv"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, words, match):
    with pytest.raises(LayerError, match=match):
        rig(make(tmp_path / "db"), f"{RESIZE} noise_param {{ {words} }}")


def test_a_layer_changes_what_it_has_resized(tmp_path):
    path = make(tmp_path / "db")
    plain = rig(path, RESIZE).forward()
    close = rig(path, f"{RESIZE} noise_param {{ inverse: true }}").forward()
    assert np.array_equal(close, 255 - plain)
    lab = rig(path, f"{RESIZE} noise_param {{ convert_to_lab: true }}").forward()
    assert 0 < lab[:, 0].max() <= 100 and lab.dtype == np.float32
    with pytest.raises(LayerError, match="only pictures of three channels"):
        noisy(picture(channels=1), "convert_to_hsv: true")
