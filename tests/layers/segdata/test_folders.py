"""Images and masks are paired by name, split lists name either, and leftovers are told."""

import os

import pytest

from segdata import DataError
from segdata.folders import find_stem, list_folder, pair_up, read_pairs
from segdata.splits import read_lines, read_split


def folder(root, *files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return str(root)


def test_pairs_go_by_the_path_without_ending(tmp_path):
    images = folder(tmp_path / "i", "a.jpg", "sub/b.JPG", "c.png", ".hidden.png", "notes.txt")
    masks = folder(tmp_path / "m", "a.png", "sub/b.png", "d.png")
    found = pair_up(images, masks)
    assert found.pairs == [("a.jpg", "a.png"), (os.path.join("sub", "b.JPG"), "sub/b.png")]
    assert (found.images_alone, found.masks_alone) == (["c.png"], ["d.png"])


def test_a_suffix_of_masks(tmp_path):
    images, masks = folder(tmp_path / "i", "a.jpg"), folder(tmp_path / "m", "a_mask.png", "b.png")
    found = pair_up(images, masks, "_mask")
    assert found.pairs == [("a.jpg", "a_mask.png")] and found.masks_alone == []


def test_two_files_of_one_name_are_refused(tmp_path):
    with pytest.raises(DataError, match="'a.jpg' and 'a.png': which of the two"):
        list_folder(folder(tmp_path / "i", "a.jpg", "a.png"))
    with pytest.raises(DataError, match="no folder '/"):
        list_folder(str(tmp_path / "none"))


def test_lines_are_a_name_or_two_paths(tmp_path):
    images, masks = folder(tmp_path / "i", "a.JPG"), folder(tmp_path / "m", "a.png")
    split = tmp_path / "train.txt"
    split.write_text("a\n\n b.jpg\tc.png\n")
    found = read_pairs(str(split), images, masks)
    assert found[0] == (os.path.join(images, "a.JPG"), os.path.join(masks, "a.png"))
    assert found[1] == (os.path.join(images, " b.jpg"), os.path.join(masks, "c.png"))
    split.write_text("a\tb\tc\n")
    with pytest.raises(DataError, match="expected a name, or an image, a tab and a mask"):
        read_pairs(str(split), images, masks)


def test_a_file_that_is_not_there_is_named_as_a_png(tmp_path):
    assert find_stem(str(tmp_path), "x") == str(tmp_path / "x.png")


def test_a_missing_list_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"split's list '/.*v.txt' \(No such file.*\); do this"):
        read_split(str(tmp_path / "v.txt"), "do this")
    (tmp_path / "v.txt").write_text(" a \r\n\n\tb\n")
    assert read_lines(str(tmp_path / "v.txt")) == ["a", "\tb"]
