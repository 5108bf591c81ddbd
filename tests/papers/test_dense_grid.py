"""The dense grid against single crops: its parts, and the whole in its quick mode."""

import json
import os

import numpy as np

from papers import dense_grid


def test_quick_mode(tmp_path):
    before = os.getcwd()
    try:
        dense_grid.main(["--quick", "--out", str(tmp_path)])
    finally:
        os.chdir(before)
    raw = json.loads((tmp_path / "dense_grid.json").read_text(encoding="utf-8"))["raw"]
    inner, whole = raw["equality"]
    # Equal to rounding where the crop has what the dense net sees, and only there.
    assert inner[2] == 4 and inner[3] < 1e-5 and inner[4] == 1
    assert whole[2] == 36 and whole[3] > 0.01
    assert raw["multiply_adds"] > 2 and set(map(type, raw["seconds"].values())) == {float}


def test_crops_are_filled_with_zeros_beyond_the_image():
    image = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    assert dense_grid.cut(image, 1, 1, 2).tolist() == [[[[6, 7], [10, 11]]]]
    assert dense_grid.cut(image, 3, 2, 2).tolist() == [[[[15, 16], [0, 0]]]]


def test_agreement():
    difference, same = dense_grid.agreement([[1, 2], [8, 4]], [[1, 2], [3, 4]])
    assert (difference, same) == (1.25, 0.5)
