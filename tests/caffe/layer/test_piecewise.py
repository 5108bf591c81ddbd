"""AbsVal, Clip and Threshold."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError

SHAPE = (2, 3, 4)


def clip(low: float, high: float, shape=SHAPE, **options) -> Rig:
    return Rig(f'type: "Clip" clip_param {{ min: {low} max: {high} }}', shape, **options)


def test_absval(device):
    rig = Rig('type: "AbsVal"', SHAPE)
    x = random(*SHAPE)
    close(rig.forward(x), np.abs(x))
    close(rig.backward(x)[0], x * np.sign(x))
    rig = Rig('type: "AbsVal"', (3,))
    rig.forward(np.array([0, -2, np.nan]))
    np.testing.assert_array_equal(rig.backward(1.0)[0], [0, -1, 0])


def test_absval_refuses_to_work_in_place():
    with pytest.raises(LayerError, match=r"layer 'layer' \(type AbsVal\): cannot work in place"):
        Rig('type: "AbsVal"', SHAPE, in_place=True)


def test_clip(device):
    rig = clip(-0.5, 1)
    x = random(*SHAPE)
    close(rig.forward(x), x.clip(-0.5, 1))
    assert rig.reshape((5,)) == [(5,)]
    if device == "cpu":
        check_gradient(clip(-1.5, 1.5), x, step=1e-4)


def test_clip_ends_and_special_values():
    """The gradient passes at both ends; NaN becomes the least value."""
    rig = clip(-1, 2, (6,))
    y = rig.forward(np.array([-1, 2, np.nan, np.inf, -np.inf, 2.1]))
    np.testing.assert_array_equal(y, [-1, 2, -1, 2, -1, 2])
    np.testing.assert_array_equal(rig.backward(3.0)[0], [3, 3, 0, 0, 0, 0])


@pytest.mark.parametrize(("low", "high"), [(0, 6), (-1, 2)])
def test_clip_passes_the_gradient_up_to_its_ends_and_no_further(low, high):
    """What is all finite goes another way on the CPU."""
    ends = np.float32([low, high])
    outside = np.nextafter(ends, np.float32([-np.inf, np.inf]))
    x = np.concatenate([ends, outside, [(low + high) / 2]])
    rig = clip(low, high, (5,))
    np.testing.assert_array_equal(rig.forward(x), [low, high, low, high, x[4]])
    np.testing.assert_array_equal(rig.backward(3.0)[0], [3, 3, 0, 0, 3])


def test_clip_with_ends_the_wrong_way_round_gives_min():
    rig = clip(1, -1, (3,))
    np.testing.assert_array_equal(rig.forward(np.array([-2, 0, 2])), [1, 1, 1])
    assert not rig.backward(1.0)[0].any()


def test_clip_in_place_passes_every_gradient_as_in_caffe():
    rig = clip(-1, 1, (3,), in_place=True)
    rig.forward(np.array([-2, 0, 2]))
    np.testing.assert_array_equal(rig.backward(3.0)[0], [3, 3, 3])


def test_clip_needs_its_ends():
    with pytest.raises(LayerError, match="needs clip_param"):
        Rig('type: "Clip"', SHAPE)


@pytest.mark.parametrize("in_place", [False, True])
def test_threshold_is_strict(device, in_place):
    text = 'type: "Threshold" threshold_param { threshold: 0.5 }'
    rig = Rig(text, (4,), in_place=in_place)
    y = rig.forward(np.array([0.4, 0.5, 0.6, np.nan]))
    np.testing.assert_array_equal(y, [0, 0, 1, 0])


def test_threshold_has_no_backward_pass():
    rig = Rig('type: "Threshold"', SHAPE)
    x = random(*SHAPE)
    rig.forward(x)
    with pytest.raises(LayerError, match=r"layer 'layer' \(type Threshold\): has no backward"):
        rig.backward(1.0)
    close(rig.forward(x), (x > 0).astype(np.float32))  # and is usable after that
