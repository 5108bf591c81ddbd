"""Names and lists that would pair an image with another's mask, or that are no text."""

import pytest

from segdata import DataError
from segdata.folders import pair_up, read_pairs
from segdata.params import parse_params
from segdata.splits import read_split


def folder(root, name, *files):
    for file in files:
        path = root / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return str(root / name)


@pytest.mark.parametrize("name", [" ab.png", "ab /c.png", "a\tb.png", "a\rb.png", "a\nb.png"])
def test_names_that_a_list_cannot_hold_are_refused(name, tmp_path):
    images = folder(tmp_path, "images", "ab.png", name)
    with pytest.raises(DataError, match="rename the file") as caught:
        pair_up(images, images)
    assert "\n" not in str(caught.value) and "\r" not in str(caught.value)


def test_bytes_that_are_no_utf8_are_refused(tmp_path):
    import os

    folder(tmp_path, "images", "ab.png")
    with open(os.path.join(os.fsencode(str(tmp_path / "images")), b"\xff.png"), "wb"):
        pass
    with pytest.raises(DataError, match="no UTF-8"):
        pair_up(str(tmp_path / "images"), str(tmp_path / "images"))


def test_a_blank_before_a_name_in_a_list_counts(tmp_path):
    """Lists of earlier versions may hold such names: they mean these files."""
    (tmp_path / "train.txt").write_text(" ab.png\t ab.png\r\n\n  id  \n")
    pairs = read_pairs(str(tmp_path / "train.txt"), "/i", "/m")
    assert pairs[0] == ("/i/ ab.png", "/m/ ab.png")
    assert pairs[1] == ("/i/id.png", "/m/id.png")


def test_a_list_that_is_no_text_is_one_error(tmp_path):
    (tmp_path / "train.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="train.txt' is not UTF-8"):
        read_split(str(tmp_path / "train.txt"), "")


def test_a_name_with_a_zero_byte_is_a_missing_file(tmp_path):
    from segdata.images import read_rgb

    with pytest.raises(DataError):
        read_rgb(str(tmp_path / "a\0b.png"))


OPTIONAL = {"seed": None, "classes": None, "batch_size": 1, "workers": 1, "mirror": False}


@pytest.mark.parametrize(
    "text",
    [
        "{'split': 3}",
        "{'split': None}",
        "{'split': 'a', 'voc_dir': 5}",
        "{'split': 'a', 'voc_dir': 'a\\0b'}",
        "{'split': 'a', 'seed': 'x'}",
        "{'split': 'a', 'seed': 1e400}",
        f"{{'split': 'a', 'seed': {10**30}}}",
        "{'split': 'a', 'classes': 0}",
        "{'split': 'a', 'classes': [3]}",
        "{'split': 'a', 'batch_size': '2'}",
        "{'split': 'a', 'batch_size': None}",
        "{'split': 'a', 'workers': 10**9}",
        "{'split': 'a', 'mirror': 'yes'}",
        "{[]: 1}",
        "(" * 100000,
        "-" * 100000 + "1",
        "not " * 100000 + "1",
        "[1," * 100000,
    ],
)
def test_values_of_the_wrong_kind_are_one_error(text):
    with pytest.raises(DataError) as caught:
        parse_params(text, ("split",), dict(OPTIONAL, voc_dir=None), "SomeLayer")
    assert str(caught.value).startswith("SomeLayer: ") and len(str(caught.value)) < 1200
