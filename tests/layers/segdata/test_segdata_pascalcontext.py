"""PASCAL-Context's raw classes by name."""

import numpy as np
import pytest
import scipy.io

from segdata import DataError
from segdata.pascalcontext import class_map, read_context_label, read_names


def write(folder, raw, task):
    for name, lines in (("labels.txt", raw), ("59_labels.txt", task)):
        (folder / name).write_text("".join(f"{i}: {n}\n" for i, n in enumerate(lines, 1)))


def test_classes_are_found_by_name_however_they_are_spelt(tmp_path):
    write(tmp_path, ["sky", "table", "cat"], ["cat", "diningtable"])
    classes = class_map(str(tmp_path))
    assert classes.tolist() == [0, 0, 2, 1]  # 0 and all that is not told apart: background
    path = str(tmp_path / "a.mat")
    scipy.io.savemat(path, {"LabelMap": np.array([[0, 1, 2, 3]])})
    assert read_context_label(path, classes).tolist() == [[0, 0, 2, 1]]
    scipy.io.savemat(path, {"LabelMap": np.array([[1, 4]])})
    with pytest.raises(DataError, match="holds 4 at x=1, y=0; expected raw classes 0 to 3"):
        read_context_label(path, classes)


def test_a_name_that_the_long_list_lacks_and_numbers_out_of_order(tmp_path):
    write(tmp_path, ["cats"], ["cat"])
    with pytest.raises(DataError, match="has no 'cat', .* is 'cats' meant"):
        class_map(str(tmp_path))
    path = tmp_path / "labels.txt"
    path.write_text("0: background\n1: sky\n3: cat\n")
    with pytest.raises(DataError, match="expected '2: name' in the next line; received '3: cat'"):
        read_names(str(path))
