"""What the comparison of the catalog's rows must refuse, so that its agreement means something."""

import numpy as np
import pytest
import rows_both

ONES = np.ones((2, 3), np.float32)


class Side(dict):
    """What np.load gives."""

    @property
    def files(self):
        return list(self)


def side(engine, **arrays):
    return Side(
        {key.replace("__", ":"): value for key, value in arrays.items()}, engine=np.array(engine)
    )


def test_equal_sides_agree():
    arrays = dict(weights__conv=ONES, update__conv=ONES, update__fixed=ONES * 0, hist__score=ONES)
    problems, count, worst = rows_both.compare(side("a", **arrays), side("b", **arrays))
    assert (problems, count, worst) == ([], 4, 0)


@pytest.mark.parametrize(
    "name, a, b",
    [
        ("weights__conv", ONES, ONES * 1.001),
        ("weights__conv", ONES * 0, ONES * 0),
        ("weights__conv", ONES, ONES[0]),
        ("update__conv", ONES, ONES * 1.05),
        ("update__conv", ONES * 0, ONES),
        ("loss__train", ONES, ONES * 1.001),
        ("loss__train", ONES, ONES * np.nan),
        ("hist__score", ONES * 1000, np.float32([[1000, 1000, 1000], [1000, 990, 1010]]) + 10),
    ],
)
def test_differences_are_problems(name, a, b):
    problems, _, _ = rows_both.compare(side("a", **{name: a}), side("b", **{name: b}))
    assert len(problems) == 1


def test_one_program_on_both_sides_and_missing_arrays_are_problems():
    assert "both sides" in rows_both.compare(side("a", x=ONES), side("a", x=ONES))[0][0]
    assert "different arrays" in rows_both.compare(side("a", x=ONES), side("b", y=ONES))[0][0]


def test_updates_that_are_rounding_beside_the_others_are_no_problem_unless_they_grow():
    large, noise = ONES, ONES * 1e-7
    for other, count in ((-noise, 0), (ONES * 1e-6, 1)):
        problems, _, _ = rows_both.compare(
            side("a", update__conv=large, update__bias=noise),
            side("b", update__conv=large, update__bias=other),
        )
        assert len(problems) == count
