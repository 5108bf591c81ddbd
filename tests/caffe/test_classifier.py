"""Classifier: which pixels it feeds and what it averages, told by a net that reports its input.

The numbers of BVLC Caffe's are compared in tests/oracle/pycaffe_both.py.
"""

import numpy as np
import pytest

import caffe
from caffe.errors import DataError

# The sum of each channel over the crop, so that the prediction tells which pixels were seen.
NET = """
layer { name: "data" type: "Input" top: "data" input_param {
  shape { dim: 4 dim: 3 dim: 4 dim: 6 } } }
layer { name: "sum" type: "Convolution" bottom: "data" top: "sum" convolution_param {
  num_output: 3 group: 3 kernel_h: 4 kernel_w: 6 bias_term: false
  weight_filler { type: "constant" value: 1 } } }
"""


@pytest.fixture
def files(saved_net):
    return saved_net(NET)


def picture(height, width, seed=0):
    return np.random.RandomState(seed).rand(height, width, 3).astype(np.float32)


def test_the_centre_is_what_is_seen(files):
    net = caffe.Classifier(*files, image_dims=(9, 10))
    assert isinstance(net, caffe.Net) and list(net.crop_dims) == [4, 6]
    images = [picture(9, 10, seed) for seed in range(6)]  # more than the net's batch
    found = net.predict(images, oversample=False)
    expected = [image[2:6, 2:8].sum(axis=(0, 1)) for image in images]
    assert found.shape == (6, 3, 1, 1)
    assert np.allclose(found.reshape(6, 3), expected, rtol=1e-5)


def test_ten_crops_are_averaged(files):
    net = caffe.Classifier(*files, image_dims=(9, 10))
    images = [picture(9, 10, seed) for seed in (1, 2)]
    corners = [(0, 0), (0, 4), (5, 0), (5, 4), (2, 2)]
    expected = [
        np.mean([image[y : y + 4, x : x + 6].sum(axis=(0, 1)) for y, x in corners], axis=0)
        for image in images
    ]  # a mirrored crop has the same sum
    found = net.predict(images)
    assert found.shape == (2, 3) and np.allclose(found, expected, rtol=1e-5)


def test_images_are_resized_and_preprocessed(files):
    mean = np.array([1.0, 2.0, 3.0])
    net = caffe.Classifier(
        *files, mean=mean, raw_scale=10.0, input_scale=0.5, channel_swap=(2, 1, 0)
    )
    assert list(net.image_dims) == [4, 6]  # the input's own
    image = picture(11, 13)
    small = caffe.io.resize_image(image, (4, 6))
    expected = ((small[:, :, ::-1] * 10 - mean) * 0.5).sum(axis=(0, 1))
    assert np.allclose(net.predict([image], oversample=False).ravel(), expected, rtol=1e-4)
    assert np.allclose(net.predict([image]).ravel(), expected, rtol=1e-4)


def test_the_callers_images_stay(files):
    image = picture(4, 6)
    before = image.copy()
    caffe.Classifier(*files, raw_scale=255.0, mean=np.ones(3)).predict([image], False)
    assert np.array_equal(image, before)


def test_errors(files, tmp_path):
    net = caffe.Classifier(*files, image_dims=(3, 6))
    with pytest.raises(DataError, match="at least one image"):
        net.predict([])
    for oversample in (True, False):
        with pytest.raises(ValueError, match="crops of 4×6 do not fit into images of 3×6"):
            net.predict([picture(5, 5)], oversample)
    with pytest.raises(RuntimeError, match="nowhere.caffemodel"):
        caffe.Classifier(files[0], "nowhere.caffemodel")
    flat = tmp_path / "flat.prototxt"
    flat.write_text(NET.replace("dim: 4 dim: 3 dim: 4 dim: 6", "dim: 4 dim: 3").split("layer")[1])
    flat.write_text("layer" + flat.read_text())
    with pytest.raises(DataError, match=r"\(N, C, H, W\); 'data' has the shape \(4, 3\)"):
        caffe.Classifier(str(flat), files[1])
