"""SIFT Flow's two labels of a pixel."""

import numpy as np
import pytest
import scipy.io

from segdata import DataError
from segdata.siftflow import FILES, SUBFOLDER, read_geometric_label, read_semantic_label


def test_void_is_0_of_the_one_and_minus_1_of_the_other(tmp_path):
    path = str(tmp_path / "a.mat")
    scipy.io.savemat(path, {"S": np.array([[0, 1, 33]])})
    assert read_semantic_label(path).tolist() == [[255, 0, 32]]
    scipy.io.savemat(path, {"S": np.array([[-1, 0, 1, 3]], np.int16)})
    assert read_geometric_label(path).tolist() == [[255, 255, 0, 2]]
    with pytest.raises(DataError, match="-1"):
        read_semantic_label(path)


def test_files_of_an_image():
    assert [pattern.format("a") for pattern in FILES] == [
        f"Images/{SUBFOLDER}/a.jpg",
        f"SemanticLabels/{SUBFOLDER}/a.mat",
        f"GeoLabels/{SUBFOLDER}/a.mat",
    ]
