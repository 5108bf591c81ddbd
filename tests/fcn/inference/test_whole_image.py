"""Models that take whole images only: one tile, one image, whatever is free."""

import pytest

from fcn.inference.tiles import Span, Tile
from fcn.inference.whole_image import WholeImage


@pytest.mark.parametrize("limit", [None, 1])
def test_an_image_is_one_tile_by_itself(limit):
    model = WholeImage()
    assert model.plan(30, 40, limit=limit) == [Tile(Span(0, 30, 0, 30), Span(0, 40, 0, 40))]
    assert model.at_once(30, 40, 8, limit=limit) == 1
