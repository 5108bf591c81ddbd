"""Lists of images are split at the last space, labels read as C's atoi does."""

import os
import warnings

import pytest

import caffe
from caffe.data.image_list import ImageListWarning, read_list


def read(tmp_path, data):
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    return read_list(str(path))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a.jpg 3", ("a.jpg", 3)),
        (b"my photo.jpg 0", ("my photo.jpg", 0)),
        (b"a.jpg -1", ("a.jpg", -1)),
        (b"a.jpg +7", ("a.jpg", 7)),
        (b"a.jpg 3\r", ("a.jpg", 3)),
        (b"a.jpg 0000000007", ("a.jpg", 7)),
    ],
)
def test_whole_numbers(tmp_path, line, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(tmp_path, line + b"\n" + line) == [expected, expected]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"a.jpg 3x", ("a.jpg", 3)),
        (b"a.jpg x", ("a.jpg", 0)),
        (b"a.jpg", ("a.jpg", 0)),
        (b"a.jpg ", ("a.jpg", 0)),
        (b"a.jpg 2.7", ("a.jpg", 2)),
        (b"a.jpg\t3", ("a.jpg\t3", 0)),  # no space: all of it is the name
        (b"a.jpg 4294967297", ("a.jpg", 1)),  # 2**32 + 1 in 32 bits
        (b"a.jpg 99999999999999999999", ("a.jpg", -1)),  # the largest of 64 bits, in 32
        (b"a.jpg -99999999999999999999", ("a.jpg", 0)),
        (b"", ("", 0)),
    ],
)
def test_what_is_no_whole_number_is_read_as_by_c_and_told(tmp_path, line, expected):
    if line.split(b" ")[-1] == b"4294967297":  # ten digits may be a number
        assert read(tmp_path, line + b"\n") == [expected]
        return
    with pytest.warns(ImageListWarning, match=f"list.txt:2: .*label is {expected[1]}"):
        assert read(tmp_path, b"b.jpg 1\n" + line + b"\n")[1] == expected


def test_only_the_first_of_many_is_told(tmp_path):
    with pytest.warns(ImageListWarning, match=r"list.txt:1 \(and 2 more\): 'a'"):
        read(tmp_path, b"a\nb\nc 1\nd\n")


def test_names_are_bytes_of_the_file_system(tmp_path):
    name = "ü.jpg"
    assert read(tmp_path, os.fsencode(name) + b" 1")[0][0] == name
    odd = read(tmp_path, b"\xff\xfe.jpg 1")[0][0]
    assert os.fsencode(odd) == b"\xff\xfe.jpg"


def test_an_empty_list(tmp_path):
    assert read(tmp_path, b"") == []


def test_a_list_that_is_not_there(tmp_path):
    with pytest.raises(caffe.Error, match=r"cannot read the list .*none.txt: .*lines 'path label'"):
        read_list(str(tmp_path / "none.txt"))
