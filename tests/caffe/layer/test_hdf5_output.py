"""HDF5Output: what is in the file, pass after pass."""

import h5py
import numpy as np
import pytest
from harness import Rig, random

from caffe.errors import DataError, LayerError, ShapeError


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "out.h5")


def output(path, *shapes):
    text = f'type: "HDF5Output" hdf5_output_param {{ file_name: "{path}" }}'
    return Rig(text, *shapes, tops=0)


def content(path):
    with h5py.File(path, "r") as file:
        return {name: file[name][()] for name in file}


def test_one_pass(path, device):
    rig = output(path, (2, 3, 4, 5), (2,))
    assert content(path) == {}  # made when the net is built
    data, label = random(2, 3, 4, 5), random(2, seed=1)
    rig.forward(data, label)
    found = content(path)
    np.testing.assert_array_equal(found["data"], data)
    np.testing.assert_array_equal(found["label"], label.reshape(2, 1, 1, 1))
    assert found["data"].dtype == np.float32


def test_each_pass_appends_its_items(path):
    rig = output(path, (2, 3), (2, 1))
    first, second = random(2, 3), random(4, 3, seed=1)
    rig.forward(first, np.zeros((2, 1)))
    rig.reshape((4, 3), (4, 1))
    rig.forward(second, np.ones((4, 1)))
    found = content(path)
    np.testing.assert_array_equal(found["data"][..., 0, 0], np.concatenate([first, second]))
    assert found["label"].ravel().tolist() == [0, 0, 1, 1, 1, 1]


def test_rows_of_another_shape_are_refused_and_the_file_stays(path):
    rig = output(path, (2, 3), (2, 1))
    rig.forward(random(2, 3), random(2, 1))
    rig.reshape((2, 4), (2, 1))
    with pytest.raises(ShapeError, match="cannot append rows of"):
        rig.forward()
    assert content(path)["data"].shape == (2, 3, 1, 1)


def test_building_makes_the_file_anew(path):
    output(path, (2, 3), (2,)).forward(random(2, 3), random(2))
    output(path, (2, 3), (2,))
    assert content(path) == {}


def test_backward_is_possible_and_writes_nothing(path):
    rig = output(path, (2, 3), (2,))
    rig.forward(random(2, 3), random(2))
    assert not any(d.any() for d in rig.backward(bottoms=[True, True]))


def test_bad_settings(path, tmp_path):
    with pytest.raises(LayerError, match="file_name"):
        output("", (2, 3), (2,))
    with pytest.raises(DataError, match="cannot write HDF5 file"):
        output(str(tmp_path / "none" / "out.h5"), (2, 3), (2,))
    with pytest.raises(ShapeError, match="same first axis"):
        output(path, (2, 3), (3,))
    with pytest.raises(ShapeError, match="up to 4 axes"):
        output(path, (2, 1, 1, 1, 1), (2,))
