"""Tile."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError


def tile(body: str, shape=(2, 3, 2), **options) -> Rig:
    return Rig(f'type: "Tile" tile_param {{ {body} }}', shape, **options)


@pytest.mark.parametrize(
    "body, reps", [("tiles: 3", (1, 3, 1)), ("tiles: 2 axis: 0", (2, 1, 1)),
                   ("tiles: 4 axis: -1", (1, 1, 4)), ("tiles: 1", (1, 1, 1))]
)  # fmt: skip
def test_forward_and_gradient(device, body, reps):
    rig = tile(body)
    x = random(2, 3, 2)
    close(rig.forward(x), np.tile(x, reps))
    assert rig.reshape((1, 2, 5)) == [tuple(np.multiply((1, 2, 5), reps))]
    if device == "cpu":
        check_gradient(tile(body), x)


def test_bad_settings_are_refused():
    for body in ("", "tiles: 0", "tiles: -1"):
        with pytest.raises(LayerError, match="tiles must be positive"):
            tile(body)
    with pytest.raises(LayerError, match="axis 3 out of range"):
        tile("tiles: 2 axis: 3")
    with pytest.raises(LayerError, match="in place"):
        tile("tiles: 2", in_place=True)
    with pytest.raises(ShapeError, match="INT_MAX"):
        tile("tiles: 2000000000")
