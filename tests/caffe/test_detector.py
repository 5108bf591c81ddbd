"""Detector: windows, their context, and what stands where the image ends.

The numbers of BVLC Caffe's are compared in tests/oracle/pycaffe_both.py.
"""

import sys
import types

import numpy as np
import pytest
from PIL import Image

import caffe
from caffe.errors import DataError, Error

NET = """
layer { name: "data" type: "Input" top: "data" input_param {
  shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "sum" type: "Convolution" bottom: "data" top: "sum" convolution_param {
  num_output: 3 group: 3 kernel_size: 8 bias_term: false
  weight_filler { type: "constant" value: 1 } } }
"""


@pytest.fixture
def files(saved_net):
    return saved_net(NET)


@pytest.fixture
def photos(tmp_path):
    rng = np.random.RandomState(0)
    paths = [str(tmp_path / f"{i}.png") for i in range(2)]
    for path, size in zip(paths, ((30, 20, 3), (16, 24, 3))):
        Image.fromarray(rng.randint(0, 256, size).astype(np.uint8)).save(path)
    return paths


def test_one_prediction_for_each_window(files, photos):
    detector = caffe.Detector(*files)
    windows = [(2, 3, 10, 11), (0, 0, 8, 8), np.array([5.0, 6.0, 13.0, 14.0])]  # 8×8: not resized
    found = detector.detect_windows(iter([(photos[0], windows), (photos[1], windows[:1])]))
    assert [d["filename"] for d in found] == [photos[0]] * 3 + [photos[1]]
    assert [d["window"] is w for d, w in zip(found, [*windows, windows[0]])] == [True] * 4
    for detection in found:
        top, left, bottom, right = (int(v) for v in detection["window"])
        image = caffe.io.load_image(detection["filename"])
        expected = image[top:bottom, left:right].sum(axis=(0, 1))
        assert np.allclose(detection["prediction"].ravel(), expected, rtol=1e-5)


def test_context_surrounds_the_window(files):
    """A window of 4×4 (to the last pixel) in a crop of 8 with 2 to each side: scale 1."""
    detector = caffe.Detector(*files, context_pad=2)
    image = np.random.RandomState(1).rand(20, 20, 3).astype(np.float32)
    crop = detector.crop(image, (8, 9, 11, 12))
    assert crop.shape == (8, 8, 3) and crop.dtype == np.float32
    # Its ends are inclusive for the size, exclusive for the pixels taken, as in R-CNN.
    expected = caffe.io.resize_image(image[6:14, 7:15], (8, 8))
    assert np.allclose(crop, expected, atol=1e-6)


def test_beyond_the_image_is_the_mean(files):
    mean = np.array([10.0, 20.0, 30.0])
    detector = caffe.Detector(
        *files, context_pad=2, mean=mean, raw_scale=100.0, channel_swap=(2, 1, 0)
    )
    image = np.full((20, 20, 3), 0.7, np.float32)
    crop = detector.crop(image, (0, 0, 3, 3))
    assert np.allclose(crop[:2], [0.3, 0.2, 0.1]) and np.allclose(crop[:, :2], [0.3, 0.2, 0.1])
    assert np.allclose(crop[2:, 2:], 0.7)
    fed = detector.transformer.preprocess("data", crop)
    assert np.allclose(fed[:, :2], 0, atol=1e-4)  # the mean, less the mean


def test_a_mean_image_and_no_mean(files):
    mean = np.arange(3 * 8 * 8, dtype=float).reshape(3, 8, 8)
    detector = caffe.Detector(*files, context_pad=1, mean=mean, channel_swap=(2, 0, 1))
    assert np.array_equal(detector.crop_mean[:, :, 2], mean[0])
    assert np.array_equal(detector.crop_mean[:, :, 0], mean[1])
    detector.configure_crop(None)
    assert detector.crop(np.zeros((9, 9, 3)), (1, 2, 3, 5)).shape == (2, 3, 3)
    plain = caffe.Detector(*files, context_pad=1)
    assert not plain.crop_mean.any() and plain.crop_mean.shape == (8, 8, 3)


def test_selective_search_is_a_package_of_its_own(files, photos, monkeypatch):
    detector = caffe.Detector(*files)
    with pytest.raises(Error, match="selective_search_ijcv_with_python"):
        detector.detect_selective_search(photos)
    asked = {}

    def get_windows(names, cmd):
        asked.update(names=names, cmd=cmd)
        return [[(0, 0, 8, 8)], [(1, 1, 9, 9), (2, 2, 9, 9)]]

    module = types.ModuleType("selective_search_ijcv_with_python")
    module.get_windows = get_windows
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert len(detector.detect_selective_search(iter(photos))) == 3
    assert asked == {"names": photos, "cmd": "selective_search_rcnn"}


def test_errors(files, photos):
    detector = caffe.Detector(*files)
    with pytest.raises(DataError, match="at least one window"):
        detector.detect_windows([(photos[0], [])])
    with pytest.raises(DataError, match=r"\(40, 0, 50, 5\).*no pixel of an image of 30×20"):
        detector.detect_windows([(photos[0], [(40, 0, 50, 5)])])
    with pytest.raises(DataError, match="context_pad is at most 3 for an input 8 pixels wide"):
        detector.configure_crop(4)
    detector.configure_crop(3)
    with pytest.raises(DataError, match="no pixel"):
        detector.crop(np.zeros((9, 9, 3)), (50, 50, 60, 60))
