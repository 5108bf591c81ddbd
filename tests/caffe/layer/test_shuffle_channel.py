"""ShuffleChannel: channels dealt out over groups."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError


def shuffle(group, *shape):
    return Rig(f'type: "ShuffleChannel" shuffle_channel_param {{ group: {group} }}', shape)


def test_channels_go_round_the_groups():
    x = np.arange(6, dtype=np.float32).reshape(1, 6, 1, 1)
    assert shuffle(2, 1, 6, 1, 1).forward(x).ravel().tolist() == [0, 3, 1, 4, 2, 5]
    assert shuffle(3, 1, 6, 1, 1).forward(x).ravel().tolist() == [0, 2, 4, 1, 3, 5]
    assert shuffle(1, 1, 6, 1, 1).forward(x).ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_shuffle_of_pixels(device):
    x = random(2, 8, 3, 5)
    rig = shuffle(4, 2, 8, 3, 5)
    close(rig.forward(x), x.reshape(2, 4, 2, 15).swapaxes(1, 2).reshape(x.shape))
    if device == "cpu":
        check_gradient(rig, x)


def test_shuffle_refuses_what_does_not_divide():
    with pytest.raises(ShapeError, match="multiple of group 4"):
        shuffle(4, 1, 6, 2, 2)
    with pytest.raises(LayerError, match="group must be positive"):
        shuffle(0, 1, 6, 2, 2)
