"""NYUDv2's files and labels."""

import numpy as np
import pytest
import scipy.io

from segdata import DataError
from segdata.nyud import file_of, read_nyud_label


def test_each_kind_of_file_has_its_folder():
    assert file_of("root", "hha", "5001") == "root/data/hha/img_5001.png"
    assert file_of("root", "label", "5001") == "root/segmentation/img_5001.mat"


def test_classes_from_one_and_void(tmp_path):
    path = str(tmp_path / "a.mat")
    scipy.io.savemat(path, {"segmentation": np.array([[0, 1, 40]])})
    assert read_nyud_label(path).tolist() == [[255, 0, 39]]
    scipy.io.savemat(path, {"segmentation": np.array([[41]])})
    with pytest.raises(DataError, match="41"):
        read_nyud_label(path)
