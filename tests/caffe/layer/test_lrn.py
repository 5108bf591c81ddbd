"""LRN: both regions."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError

SETTINGS = "local_size: 3 alpha: 2 beta: 0.6 k: 1.5"
ACROSS = f'type: "LRN" lrn_param {{ {SETTINGS} }}'
WITHIN = f'type: "LRN" lrn_param {{ {SETTINGS} norm_region: WITHIN_CHANNEL }}'
SHAPE = (2, 5, 4, 3)


def window_sums(x, axes):
    """Sums over 3 neighbours along each of the axes."""
    for axis in axes:
        pad = [(0, 0)] * x.ndim
        pad[axis] = (1, 1)
        wide = np.pad(x, pad)
        x = sum(wide.take(range(i, i + x.shape[axis]), axis) for i in range(3))
    return x


def across(x):
    return 1.5 + 2 / 3 * window_sums(x**2, [1])


def test_across_channels(device):
    rig = Rig(ACROSS, SHAPE)
    x = random(*SHAPE)
    close(rig.forward(x), x * across(x) ** -0.6)
    check_gradient(rig, x)


def test_within_a_channel_k_is_ignored():
    rig = Rig(WITHIN, SHAPE)
    x = random(*SHAPE)
    close(rig.forward(x), x * (1 + 2 / 9 * window_sums(x**2, [2, 3])) ** -0.6)
    check_gradient(rig, x)


def test_more_neighbours_than_channels():
    rig = Rig('type: "LRN" lrn_param { local_size: 9 alpha: 2 }', (1, 3, 2, 2))
    x = random(1, 3, 2, 2)
    close(rig.forward(x), x * (1 + 2 / 9 * (x**2).sum(1, keepdims=True)) ** -0.75)
    check_gradient(rig, x)


def test_across_channels_in_place_loses_its_input_as_in_caffe():
    x = random(*SHAPE)
    close(Rig(ACROSS, SHAPE, in_place=True).forward(x), across(x) ** -1.2)


def test_bad_use_is_refused():
    with pytest.raises(LayerError, match="odd"):
        Rig('type: "LRN" lrn_param { local_size: 4 }', SHAPE)
    with pytest.raises(ShapeError, match="4 axes"):
        Rig(ACROSS, (2, 5, 4))
