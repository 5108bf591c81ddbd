"""Palette files: which colour is which class."""

import numpy as np
import pytest

from data.preparing.colours import ColourMap, read_colours


@pytest.mark.parametrize(
    "text, message",
    [
        ("1 2 a\n", "line 1: expected 'R G B name'"),
        ("1 2 300 a\n", "line 1: expected"),
        ("1 2 3 a\n1 2 3 b\n", r"line 2: the colour \(1, 2, 3\) is there twice"),
        ("1 2 3 void\n", "names 0 classes"),
    ],
)
def test_bad_palette_files(text, message, tmp_path):
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_colours(str(tmp_path / "p.txt"))


def test_colours_become_labels_and_void_ones_255(tmp_path):
    path = tmp_path / "palette.txt"
    path.write_text("# classes\n0 0 0 void\n10 20 30 ground\n200,0,0 tree\n0 200 0 tree\n1 1 1\n")
    labels, names, palette = read_colours(str(path))
    assert names == ["ground", "tree", "class 2"]
    assert labels == {(0, 0, 0): 255, (10, 20, 30): 0, (200, 0, 0): 1, (0, 200, 0): 1, (1, 1, 1): 2}
    assert palette.shape == (256, 3) and palette[1].tolist() == [200, 0, 0]
    mask = np.array([[(10, 20, 30), (0, 200, 0), (0, 0, 0), (9, 9, 9)]], np.uint8)
    found, unknown = ColourMap(labels)(mask)
    assert found[0, :3].tolist() == [0, 1, 255] and unknown.tolist() == [[False] * 3 + [True]]
