"""SPP."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close

from caffe.errors import LayerError, ShapeError


def spp(body: str, shape=(2, 3, 7, 5), **options) -> Rig:
    return Rig(f'type: "SPP" spp_param {{ {body} }}', shape, **options)


def distinct(*shape):
    values = np.random.default_rng(0).permutation(int(np.prod(shape)))
    return (values.reshape(shape) / 8).astype(np.float32)


@pytest.mark.parametrize("pool, reduce", [("MAX", np.max), ("AVE", np.mean)])
def test_levels_follow_one_another(device, pool, reduce):
    rig = spp(f"pyramid_height: 3 pool: {pool}", (2, 3, 8, 4))
    x = distinct(2, 3, 8, 4)
    levels = [x.reshape(2, 3, n, 8 // n, n, 4 // n) for n in (1, 2, 4)]
    close(rig.forward(x), np.concatenate([reduce(p, (3, 5)).reshape(2, -1) for p in levels], 1))
    if device == "cpu":
        check_gradient(spp(f"pyramid_height: 2 pool: {pool}", (1, 2, 5, 3)), distinct(1, 2, 5, 3))


def test_one_level_keeps_its_axes():
    rig = spp("pyramid_height: 1")
    x = distinct(2, 3, 7, 5)
    close(rig.forward(x), x.max((2, 3), keepdims=True))
    check_gradient(spp("pyramid_height: 1", (1, 2, 3, 3)), distinct(1, 2, 3, 3))


def test_the_length_does_not_depend_on_the_image():
    rig = spp("pyramid_height: 3", (2, 3, 7, 8))
    assert rig.top[0].dims == (2, 3 * 21)
    assert rig.reshape((1, 3, 12, 16)) == [(1, 3 * 21)]
    assert rig.reshape((4, 3, 12, 16)) == [(4, 3 * 21)]
    assert rig.forward(distinct(4, 3, 12, 16)).shape == (4, 63)


def test_stochastic_levels_draw_from_their_windows(device):
    x = distinct(2, 3, 4, 4)
    rig = spp("pyramid_height: 2 pool: STOCHASTIC", (2, 3, 4, 4))
    y = rig.forward(x)
    assert np.isin(y, x).all()
    assert (rig.forward(x) != y).any()
    on_gpu = device in ("pretend", "gpu")
    assert [len(level.generators()) for level in rig.layer.levels] == [int(on_gpu)] * 2


def test_bad_settings_are_refused():
    with pytest.raises(LayerError, match="needs pyramid_height"):
        spp("")
    with pytest.raises(ShapeError, match="level 2 has 4 x 4 windows, too many .* pyramid_height"):
        spp("pyramid_height: 3", (1, 1, 5, 5))
    with pytest.raises(ShapeError, match="level 1 has 2 x 2 windows, too many"):
        spp("pyramid_height: 4000000000", (1, 1, 1, 1))
    with pytest.raises(ShapeError, match="N x C x H x W with an image"):
        spp("pyramid_height: 1", (1, 1, 5))
    with pytest.raises(LayerError, match="in place"):
        spp("pyramid_height: 1", in_place=True)
