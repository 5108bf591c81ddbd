"""Which images are trained on and which validated on."""

import pytest
from fcn_helpers import raised

from data.preparing.partition import listed, split
from segdata.errors import DataError

PAIRS = [(f"a/{i:02d}.png", f"{i:02d}_m.png") for i in range(20)]


@pytest.mark.parametrize("share, count", [(0.1, 2), (0.5, 10), (0.001, 1), (0.999, 19)])
def test_each_pair_is_in_one_part_and_neither_is_empty(share, count):
    train, val = split(PAIRS, share)
    assert len(val) == count and sorted(train + val) == PAIRS


def test_names_decide_not_their_order_or_number():
    assert set(split(PAIRS[::-1], 0.3)[1]) == set(split(PAIRS, 0.3)[1])
    more = PAIRS + [("a/20.png", "20_m.png")]
    assert len(set(split(more, 0.3)[1]) ^ set(split(PAIRS, 0.3)[1])) <= 2


def test_a_list_names_images_with_or_without_folder_and_ending(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("03\na/05.png\n07.png\tmask\n")
    assert listed(PAIRS, str(path)) == [PAIRS[3], PAIRS[5], PAIRS[7]]
    path.write_text("03\n99\n")
    assert "names 1 images that are not there or have no mask, the first is '99'" in raised(
        DataError, listed, PAIRS, str(path)
    )
    path.write_text("")
    assert "is empty" in raised(DataError, listed, PAIRS, str(path))
