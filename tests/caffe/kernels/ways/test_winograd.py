"""3x3 convolutions by Winograd's way; its arithmetic is tested in ../test_winograd.py."""

import pytest
from way_cases import LAYOUTS, check, check_pooled

CASES = [((2, 128, 33, 41), (136, 128, 3, 3), 1, 1)]
POOLED = [((2, 128, 34, 40), (136, 128, 3, 3), 1), ((1, 128, 35, 41), (136, 128, 3, 3), 1)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES)
def test_equals_the_general_operator(case, layout):
    check("winograd", *case, layout)


@pytest.mark.parametrize("case", POOLED)
def test_a_gradient_that_comes_from_a_pooling(case, monkeypatch):
    check_pooled("winograd", *case, monkeypatch)
