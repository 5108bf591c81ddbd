"""The list of a split: one entry a line."""

import pytest

from segdata import DataError
from segdata.splits import read_lines, read_split


def test_blanks_count_only_beside_a_tab(tmp_path):
    path = tmp_path / "train.txt"
    path.write_bytes(b"  a \r\n\n\t\nb\t c \n")
    assert read_lines(str(path)) == ["a", "b\t c "]


def test_errors_name_the_file_and_what_to_do(tmp_path):
    path = tmp_path / "val.txt"
    with pytest.raises(DataError, match=r"split's list '.*val.txt' \(No such file.*\); do this"):
        read_split(str(path), "do this")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="val.txt' is not UTF-8 text"):
        read_split(str(path), "do this")
