"""The folder where old scripts look for the mean of ILSVRC."""

import os

import numpy as np
import pytest

import caffe
import caffe.imagenet


def test_the_mean_pixel_is_b_g_r_and_cannot_be_changed_by_accident():
    assert caffe.imagenet.MEAN_PIXEL.shape == (3,)
    assert list(caffe.imagenet.MEAN_PIXEL) == sorted(caffe.imagenet.MEAN_PIXEL)
    with pytest.raises(ValueError, match="read-only"):
        caffe.imagenet.MEAN_PIXEL[0] = 0


def test_old_scripts_look_into_this_folder():
    folder = os.path.join(os.path.dirname(caffe.__file__), "imagenet")
    assert os.path.dirname(caffe.imagenet.__file__) == folder
    transformer = caffe.io.Transformer({"data": (1, 3, 4, 4)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_mean("data", caffe.imagenet.MEAN_PIXEL)
    got = transformer.preprocess("data", np.zeros((4, 4, 3), np.float32))
    np.testing.assert_allclose(got[:, 0, 0], -caffe.imagenet.MEAN_PIXEL, rtol=1e-6)
