"""Labels in MAT files: classes from 0 or from 1, pixels without a class, and what is refused."""

import numpy as np
import pytest
import scipy.io

from segdata import DataError
from segdata.mat import load_mat, read_from_one, read_sbd_label


def saved(path, **variables):
    scipy.io.savemat(str(path), variables)
    return str(path)


def test_classes_from_one_become_classes_from_zero(tmp_path):
    path = saved(tmp_path / "a.mat", S=np.array([[1, 33], [0, 2]], np.uint8))
    found = read_from_one(path, "S", 33)
    assert found.dtype == np.uint8 and found.tolist() == [[0, 32], [255, 1]]
    path = saved(tmp_path / "b.mat", S=np.array([[-1, 0, 3.0]]))
    assert read_from_one(path, "S", 3, void=(-1, 0)).tolist() == [[255, 255, 2]]


@pytest.mark.parametrize("bad, told", [(34, "34 at x=1, y=0"), (1.5, "1.5 at x=1, y=0")])
def test_a_class_that_there_is_not_is_told_with_its_place(bad, told, tmp_path):
    path = saved(tmp_path / "a.mat", S=np.array([[1, bad], [0, 2]]))
    with pytest.raises(DataError, match=told + r" \(1 pixels\); expected 1 to 33, or 0"):
        read_from_one(path, "S", 33)


def test_a_label_that_is_no_matrix_is_refused(tmp_path):
    path = saved(tmp_path / "a.mat", S=np.zeros((2, 2, 2)))
    with pytest.raises(DataError, match=r"expected S to be a matrix of numbers .*\(2, 2, 2\)"):
        read_from_one(path, "S", 3)


def test_sbd_has_classes_and_objects(tmp_path):
    field = {"Segmentation": np.array([[0, 15], [255, 1]], np.uint8)}
    path = saved(tmp_path / "a.mat", GTcls=field, GTinst={"Segmentation": np.array([[0, 1]])})
    assert read_sbd_label(path).tolist() == [[0, 15], [255, 1]]
    assert read_sbd_label(path, "inst").tolist() == [[0, 1]]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match="no file '/.*none.mat'"):
        load_mat(str(tmp_path / "none.mat"), "S")
    path = saved(tmp_path / "a.mat", T=np.zeros((2, 2)))
    with pytest.raises(DataError, match="S in the label"):
        load_mat(path, "S")
