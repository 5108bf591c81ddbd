"""Dropout."""

import numpy as np
import pytest
import torch
from harness import TEST, TRAIN, Rig, close, random

from caffe import rng
from caffe.errors import ShapeError


def dropout(ratio: float, shape=(4, 50), **options) -> Rig:
    return Rig(f'type: "Dropout" dropout_param {{ dropout_ratio: {ratio} }}', shape, **options)


@pytest.mark.parametrize("in_place", [False, True])
def test_the_mask_is_the_seeds_and_serves_backward(device, in_place):
    """A value is kept where the 32-bit random number is at most keep (2^32 - 1); NumPy's
    RandomState gives the same numbers.  A GPU draws its own, seeded by the next of them."""
    rig = dropout(0.3, in_place=in_place)
    x, g = random(4, 50), random(4, 50, seed=1)
    rng.set_random_seed(7)
    y = rig.forward(x)
    u = np.random.RandomState(7).randint(0, 2**32, 200, np.uint64).reshape(4, 50)
    kept = u <= (1 - np.float64(np.float32(0.3))) * (2**32 - 1)
    if device in ("pretend", "gpu"):
        kept = y != 0
        assert 100 < kept.sum() < 180
        rng.set_random_seed(7)
        again = dropout(0.3, in_place=in_place)
        np.testing.assert_array_equal(again.forward(x), y)
    close(y, np.where(kept, x / 0.7, 0))
    close(rig.backward(g)[0], np.where(kept, g / 0.7, 0))


def test_each_forward_draws_anew():
    rig = dropout(0.5)
    rng.set_random_seed(1)
    x = random(4, 50)
    assert (rig.forward(x) != rig.forward(x)).any()


@pytest.mark.parametrize("in_place", [False, True])
def test_testing_changes_nothing(device, in_place):
    rig = dropout(0.5, phase=TEST, in_place=in_place)
    x = random(4, 50)
    np.testing.assert_array_equal(rig.forward(x), x)
    np.testing.assert_array_equal(rig.backward(x)[0], x)


def test_extreme_ratios():
    x = random(4, 50)
    np.testing.assert_array_equal(dropout(0).forward(x), x)
    assert np.isnan(dropout(1).forward(x)).all()  # 0 times infinity, as in Caffe
    with pytest.raises(ShapeError, match="between 0 and 1"):
        dropout(1.5)


def test_backward_before_forward_is_zero():
    assert not dropout(0.5).backward(1.0)[0].any()


@pytest.mark.slow
def test_a_gpu_draws_from_one_generator_seeded_before_each_pass(pretend):
    """As a CUDA graph needs it: ``forward`` alone draws, ``before_forward`` seeds."""
    rig = dropout(0.5)
    x = random(4, 50)
    rng.set_random_seed(3)
    first = rig.forward(x)
    state = rng.get_random_state()
    (generator,) = rig.layer.generators()
    second = rig.forward(x)
    assert (first != second).any()
    rng.set_random_state(state)
    np.testing.assert_array_equal(rig.forward(x), second)  # as after a resume
    assert rig.layer.generators() == [generator]
    assert dropout(0.5, phase=TEST).layer.generators() == []


@pytest.mark.parametrize("shape", [(2, 6, 5, 7), (2, 6, 1, 1), (3, 8), (2, 3, 2, 4, 5)])
def test_a_gpus_mask_does_not_depend_on_the_layout(pretend, shape):
    """A convolution leaves its top in the layout of whichever way was the fastest."""
    layer = dropout(0.5, shape).layer
    x = torch.ones(shape)
    laid_out = [x, x.to(torch.bfloat16), x.transpose(0, -1).contiguous().transpose(0, -1)]
    if x.ndim == 4:
        laid_out.append(x.contiguous(memory_format=torch.channels_last))
    masks = []
    for values in laid_out:
        rng.set_random_seed(11)
        layer.before_forward([])
        (y,) = layer.forward([values.to("pretend:0")], [])
        masks.append(y.cpu().float() != 0)
    assert 0 < int(masks[0].sum()) < x.numel()
    assert all(torch.equal(mask, masks[0]) for mask in masks[1:])


def test_what_a_gpu_drops_keeps_its_layout(pretend):
    layer = dropout(0.5, (2, 6, 5, 7)).layer
    for layout in (torch.contiguous_format, torch.channels_last):
        layer.before_forward([])
        x = torch.ones(2, 6, 5, 7).contiguous(memory_format=layout).to("pretend:0")
        (y,) = layer.forward([x], [])
        assert y.stride() == x.stride()
        assert layer.mask.is_contiguous(memory_format=torch.channels_last)


def test_testing_draws_nothing(device):
    rng.set_random_seed(3)
    dropout(0.5, phase=TEST).forward(random(4, 50))
    rng_after = rng.get().u32(1)
    rng.set_random_seed(3)
    np.testing.assert_array_equal(rng.get().u32(1), rng_after)


def fork_dropout(phase, settings):
    """(output, gradient) of a dropout of ratio 0.75 on ones, with a fork's settings."""
    text = f'type: "Dropout" dropout_param {{ dropout_ratio: 0.75 {settings} }}'
    rig = Rig(text, (4000,), phase=phase)
    ones = np.ones(4000, np.float32)
    y = rig.forward(ones).copy()
    return y, rig.backward(ones)[0]


@pytest.mark.parametrize(
    ("phase", "settings", "values"),
    [
        (TRAIN, "", {0, 4}),
        (TEST, "", {1}),
        (TRAIN, "scale_train: false", {0, 1}),
        (TEST, "scale_train: false", {0.25}),
        (TEST, "sample_weights_test: true", {0, 4}),
        (TEST, "sample_weights_test: true scale_train: false", {0, 1}),
    ],
)
def test_dropout_of_faster_r_cnn_and_of_bayesian_segnet(phase, settings, values):
    y, gradient = fork_dropout(phase, settings)
    assert set(y) == values and np.array_equal(y, gradient)
    if len(values) == 2:
        assert abs((y > 0).mean() - 0.25) < 0.03
