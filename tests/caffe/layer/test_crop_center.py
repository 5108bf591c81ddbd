"""CropCenter: as much off at both ends."""

import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError


def crop(*sizes, shape=(2, 3, 6, 7)):
    text = " ".join(f"crop_size: {n}" for n in sizes)
    return Rig(f'type: "CropCenter" crop_center_param {{ {text} }}', shape)


def test_crop_center(device):
    x = random(2, 3, 6, 7)
    rig = crop(0, 1, 2, 3)
    close(rig.forward(x), x[:, 1:2, 2:4, 3:4])
    if device == "cpu":
        check_gradient(rig, x)
    assert rig.reshape((1, 5, 7, 8)) == [(1, 3, 3, 2)]


def test_crop_center_refuses():
    with pytest.raises(LayerError, match="one crop_size for each of the 4 axes"):
        crop(1, 1)
    with pytest.raises(ShapeError, match="leaves nothing"):
        crop(1, 0, 0, 0)
