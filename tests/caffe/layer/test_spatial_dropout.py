"""SpatialDropout: whole channels, by Caffe's stream."""

import numpy as np
import pytest
from harness import TEST, Rig, random

import caffe
from caffe import rng
from caffe.errors import ShapeError

X = random(4, 16, 3, 5, low=1)


@pytest.mark.parametrize("in_place", [False, True])
def test_whole_channels_are_dropped(device, in_place):
    caffe.set_random_seed(1)
    text = 'type: "SpatialDropout" spatial_dropout_param { dropout_ratio: 0.25 }'
    rig = Rig(text, X.shape, in_place=in_place)
    y = rig.forward(X)
    kept = (y != 0).all((2, 3))
    assert np.array_equal(kept, (y != 0).any((2, 3))) and 0 < kept.sum() < 64
    assert np.allclose(y, X * kept[..., None, None] / 0.75)
    (diff,) = rig.backward(np.ones_like(X))
    assert np.allclose(diff, np.broadcast_to(kept[..., None, None] / 0.75, X.shape))
    assert not np.array_equal(kept, (rig.forward(X) != 0).all((2, 3)))


def test_the_draws_are_caffes_on_the_cpu():
    caffe.set_mode_cpu()
    caffe.set_random_seed(5)
    expected = rng.get().bernoulli(0.5, 64).reshape(4, 16)
    caffe.set_random_seed(5)
    y = Rig('type: "SpatialDropout"', X.shape).forward(X)
    assert np.array_equal((y != 0).all((2, 3)), expected.astype(bool))


def test_nothing_in_the_test_phase():
    rig = Rig('type: "SpatialDropout"', X.shape, phase=TEST)
    assert np.array_equal(rig.forward(X), X)
    assert (rig.backward(2.0)[0] == 2).all()
    with pytest.raises(ShapeError, match="needs a channel axis"):
        Rig('type: "SpatialDropout"', (3,))
