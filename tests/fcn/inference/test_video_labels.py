"""Label maps of frames, as a folder and as one file."""

import os

import numpy as np
import pytest
from PIL import Image

from fcn.inference.video_labels import writer_of
from fcn.palette import voc_palette

LABELS = [np.full((4, 6), i, np.uint8) for i in range(3)]


def write(kind, target):
    with writer_of(kind, target, voc_palette()) as maps:
        for i, label in enumerate(LABELS):
            maps.add(label, i / 2)
    return maps.files()


def test_a_folder_of_pngs(tmp_path):
    target = str(tmp_path / "a")
    assert write("png", target) == [target + "_labels"]
    for i, name in enumerate(sorted(os.listdir(target + "_labels"))):
        assert name == f"{i:06d}_label.png"
        with Image.open(os.path.join(target + "_labels", name)) as image:
            assert (np.array(image) == LABELS[i]).all()


def test_one_file_whole_or_absent(tmp_path):
    target = str(tmp_path / "a")
    assert write("npz", target) == [target + "_labels.npz"]
    with np.load(target + "_labels.npz") as file:
        assert sorted(file.files) == ["000000", "000001", "000002", "seconds"]
        assert (file["000002"] == LABELS[2]).all() and file["seconds"].tolist() == [0, 0.5, 1]
    with pytest.raises(KeyboardInterrupt):
        with writer_of("npz", str(tmp_path / "b"), voc_palette()) as maps:
            maps.add(LABELS[0], 0)
            raise KeyboardInterrupt
    assert sorted(os.listdir(str(tmp_path))) == ["a_labels.npz"]


def test_none(tmp_path):
    assert write("none", str(tmp_path / "a")) == [] and not os.listdir(str(tmp_path))
