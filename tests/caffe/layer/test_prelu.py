"""PReLU."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError


@pytest.mark.parametrize("shared", ["", "prelu_param { channel_shared: true }"])
def test_forward_and_gradient(device, shared):
    rig = Rig(f'type: "PReLU" {shared}', (2, 3, 4))
    slopes = rig.layer.blobs[0]
    assert slopes.dims == (() if shared else (3,)) and (slopes.data == 0.25).all()
    slopes.data[...] = 0.5 if shared else [0.5, -1, 2]
    x = random(2, 3, 4)
    a = slopes.data if shared else slopes.data[:, None]
    close(rig.forward(x), np.where(x > 0, x, a * x))
    check_gradient(rig, x, step=1e-3)


def test_in_place_keeps_its_input(device):
    x, g = random(2, 3, 4), random(2, 3, 4, seed=1)
    found = []
    for in_place in (False, True):
        rig = Rig(
            'type: "PReLU" prelu_param { filler { value: -0.5 } }', (2, 3, 4), in_place=in_place
        )
        rig.forward(x)
        found += [rig.backward(g)[0], rig.layer.blobs[0].diff.copy()]
    close(found[2], found[0])
    close(found[3], found[1])


def test_bad_bottoms_are_refused():
    with pytest.raises(ShapeError, match="channel axis"):
        Rig('type: "PReLU"', (3,))
    with pytest.raises(ShapeError, match="3 slopes"):
        Rig('type: "PReLU"', (2, 3)).reshape((2, 4))
