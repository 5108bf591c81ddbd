"""The study of momentum."""

import pytest
from studies import quick

from papers import momentum


def test_rates_move_the_weights_as_far():
    one, heavy = (momentum.rate_of(0.02, 1, m, 9216) for m in (0.9, 0.99))
    assert momentum.rate_of(0.02, 20, 0.9, 9216) == 0.02
    assert abs(one - 0.02 / 20 / 9216) < 1e-12 and abs(heavy - one / 10) < 1e-12


@pytest.mark.slow
def test_quick_mode(tmp_path):
    quick("momentum", tmp_path, "--seeds", "1")
