"""The table of backbones: builders, strides, and the heads that read them."""

import pytest

from fcn.catalog.backbones import BACKBONES
from fcn.catalog.heads import HEADS


@pytest.mark.parametrize("name", BACKBONES)
def test_a_row_names_what_builds_it_and_how_it_is_trained(name):
    row = BACKBONES[name]
    assert callable(row.add) and row.head in HEADS
    assert row.recipe in ("heavy", "minibatch", "poly", "adam") and row.rate > 0
    assert list(row.strides) == sorted(row.strides, reverse=True)
    assert set(row.scales) <= set(row.strides)
    # Nets from scratch have fillers; what starts from trained weights may begin with zero scores.
    assert bool(row.style.filler) or row.init
