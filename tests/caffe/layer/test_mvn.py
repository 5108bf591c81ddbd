"""MVN."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError

SHAPE = (2, 3, 2, 4)


def mvn(body: str = "", shape=SHAPE, **options) -> Rig:
    return Rig(f'type: "MVN" mvn_param {{ {body} }}', shape, **options)


@pytest.mark.parametrize("across, axes", [("", (2, 3)), ("across_channels: true ", (1, 2, 3))])
def test_forward_and_gradient(device, across, axes):
    x = 3 + random(*SHAPE)
    centred = x - x.mean(axes, keepdims=True)
    deviation = x.std(axes, keepdims=True)
    body = across + "eps: 0.5"
    for in_place in (False, True):
        close(mvn(body, in_place=in_place).forward(x), centred / (deviation + 0.5))
    body = across + "normalize_variance: false"
    for in_place in (False, True):
        rig = mvn(body, in_place=in_place)
        close(rig.forward(x), centred)
        g = random(*SHAPE, seed=1)
        close(rig.backward(g)[0], g - g.mean(axes, keepdims=True))  # in place too
    if device == "cpu":
        check_gradient(mvn(across), x)


def test_the_gradient_takes_no_account_of_eps_in_the_mean_square():
    """y stands for a blob of variance 1 whatever eps did to it, as in Caffe."""
    rig = mvn("eps: 2", (1, 1, 1, 4))
    y = rig.forward(np.array([0, 1, 2, 5]).reshape(1, 1, 1, 4))
    g = random(1, 1, 1, 4)
    expected = (g - g.mean() - y * (y * g).mean()) / (np.std([0, 1, 2, 5]) + 2)
    close(rig.backward(g)[0], expected)


def test_the_top_has_four_axes():
    assert mvn(shape=(2, 3)).top[0].dims == (2, 3, 1, 1)
    assert mvn(shape=(5,)).top[0].dims == (5, 1, 1, 1)
    rig = mvn("across_channels: true", (2, 3))
    x = random(2, 3)
    y = rig.forward(x)
    close(y, ((x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True))[:, :, None, None])
    assert rig.backward(random(2, 3, 1, 1))[0].shape == (2, 3)
    assert rig.reshape((4, 5, 6)) == [(4, 5, 6, 1)]
    with pytest.raises(ShapeError, match="4 axes"):
        rig.reshape((1, 2, 3, 4, 5))


def test_the_diff_is_written_whatever_propagate_down_says():
    rig = mvn()
    rig.forward(random(*SHAPE))
    rig.backward(random(*SHAPE, seed=1), bottoms=[False])
    assert rig.bottom[0].diff.any()


def test_constant_images_become_zero():
    assert not mvn().forward(np.ones(SHAPE)).any()


def test_in_place_the_gradient_is_wrong_as_in_caffe():
    """Every step finds the step before it where the top diff was."""
    rig = mvn("eps: 0.5", (1, 1, 1, 4), in_place=True)
    x = np.array([0, 1, 2, 5]).reshape(1, 1, 1, 4)
    y = rig.forward(x)
    g = random(1, 1, 1, 4)
    step = y * (y * g).sum()
    close(rig.backward(g)[0], -2 / 4 * (step + step.sum()) / (x.std() + 0.5))
