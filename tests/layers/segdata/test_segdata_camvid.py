"""CamVid's lists in both forms, and void."""

import os

import numpy as np
import pytest
from PIL import Image

from segdata import DataError
from segdata.camvid import list_camvid, read_camvid_label


def test_void_becomes_255_and_classes_stay(tmp_path):
    Image.fromarray(np.array([[0, 10, 11]], np.uint8)).save(str(tmp_path / "a.png"))
    assert read_camvid_label(str(tmp_path / "a.png")).tolist() == [[0, 10, 255]]


def test_ids_and_the_tutorials_paths_name_the_same_files(tmp_path):
    (tmp_path / "train").mkdir()
    Image.new("RGB", (2, 2)).save(str(tmp_path / "train" / "b.jpg"))
    (tmp_path / "train.txt").write_text("a\nb\n")
    line = "/SegNet/CamVid/train/a.png /SegNet/CamVid/trainannot/a.png\n"
    (tmp_path / "val.txt").write_text(line)
    root = str(tmp_path)
    names = [tuple(os.path.relpath(p, root) for p in pair) for pair in list_camvid(root, "train")]
    # b is there as .jpg; a missing file is told of when it is read.
    assert names == [("train/a.png", "trainannot/a.png"), ("train/b.jpg", "trainannot/b.png")]
    assert list_camvid(root, "train+val")[2] == list_camvid(root, "train")[0]


def test_lines_and_lists_that_are_wrong(tmp_path):
    (tmp_path / "val.txt").write_text("a b c\n")
    with pytest.raises(DataError, match=r"val.txt': expected an id or two paths in a line"):
        list_camvid(str(tmp_path), "val")
    with pytest.raises(DataError, match="python data/camvid.py"):
        list_camvid(str(tmp_path), "test")
