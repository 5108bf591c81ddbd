"""What is loaded is said, and colours are read from files."""

import numpy as np
import pytest

from fcn.inference.loading import MOST_NAMES, Head, Loaded, known, read_palette


def test_each_head_says_what_it_knows_and_long_lists_are_cut():
    many = tuple(f"c{i}" for i in range(MOST_NAMES + 3))
    heads = [Head("", ("sky", "road"), None), Head("geo", many, None)]
    first, second = known(Loaded("net", "", "CPU", None, heads, (1, 1), False)).splitlines()
    assert first == "net knows 2 classes: sky, road"
    assert second.startswith(f"net knows {len(many)} classes (geo): c0, c1,")
    assert second.endswith(f"c{MOST_NAMES - 1} and 3 more")


def test_colours_come_with_names_or_without(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text("1 2 3\nsome thing\t4 5 6\n")
    palette = read_palette(str(path))
    assert palette.dtype == np.uint8 and palette[:2].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert palette[255].tolist() == [224, 224, 192] and read_palette(None) is None
    assert (read_palette("voc")[:2] == [[0, 0, 0], [128, 0, 0]]).all()


@pytest.mark.parametrize("text", ["", "1 2\n", "1 2 256\n", "a b c\n", "1 2 3 4\n", "1 2 3\n\n"])
def test_files_that_are_no_colours(text, tmp_path):
    path = tmp_path / "p.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match="p.txt"):
        read_palette(str(path))
