"""The study of class balancing."""

import os

import numpy as np
import pytest
from fcn_helpers import net_of
from studies import quick

from papers import class_balancing, datasets


def test_weights_are_of_the_median_class_and_bounded():
    found = class_balancing.weights(np.array([0.5, 0.2, 0.1, 0.001, 0]))
    assert np.allclose(found, [0.3, 0.75, 1.5, 10, 1])


def test_shares_count_the_training_labels(tmp_path, camvid):
    small = datasets.shrunk_camvid(camvid, str(tmp_path), quick=True)
    share = class_balancing.shares(small)
    assert share.shape == (11,) and abs(share.sum() - 1) < 1e-9 and (share > 0).all()


def test_the_matrix_file_weighs_the_loss(tmp_path):
    path = class_balancing.write_matrix(os.path.join(str(tmp_path), "h"), [1, 3])
    text = """
    layer { name: "x" type: "Input" top: "x" top: "y"
      input_param { shape { dim: 1 dim: 2 dim: 1 dim: 2 } shape { dim: 1 dim: 1 dim: 1 dim: 2 } } }
    layer { name: "l" type: "InfogainLoss" bottom: "x" bottom: "y" top: "l"
      infogain_loss_param { source: "PATH" } }"""
    net = net_of(tmp_path, text.replace("PATH", path))
    net.blobs["x"].data[...], net.blobs["y"].data[...] = 0, np.array([0, 1]).reshape(1, 1, 1, 2)
    net.forward()
    assert abs(float(net.blobs["l"].data) - np.log(2) * (1 + 3) / 2) < 1e-6


@pytest.mark.slow
def test_quick_mode(camvid, tmp_path):
    quick("class_balancing", tmp_path, "--camvid", camvid, "--seeds", "1")
