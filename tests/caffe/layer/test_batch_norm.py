"""BatchNorm: batch and global statistics, running sums, in-place use."""

import numpy as np
import pytest
import torch
from harness import TEST, TRAIN, Rig, close, random

from caffe.errors import LayerError, ShapeError
from caffe.layer import Need

SHAPE = (4, 3, 5)
AXES = (0, 2)


def norm(body: str = "", shape=SHAPE, **options) -> Rig:
    return Rig(f'type: "BatchNorm" batch_norm_param {{ {body} }}', shape, **options)


def column(values):
    return np.asarray(values)[:, None]


@pytest.mark.parametrize("in_place", [False, True])
def test_training_normalises_and_sums_statistics(device, in_place):
    rig = norm("moving_average_fraction: 0.9 eps: 0.1", in_place=in_place)
    means, variances = np.zeros(3), np.zeros(3)
    for seed in range(2):
        x = random(*SHAPE, seed=seed)
        y = rig.forward(x)
        close(y, (x - column(x.mean(AXES))) / np.sqrt(column(x.var(AXES)) + 0.1))
        means = 0.9 * means + x.mean(AXES)
        variances = 0.9 * variances + x.var(AXES, ddof=1)
    close(rig.layer.blobs[0].data, means)
    close(rig.layer.blobs[1].data, variances)
    close(rig.layer.blobs[2].data, [1.9])


@pytest.mark.parametrize("in_place", [False, True])
def test_gradient_of_batch_statistics(device, in_place):
    """With eps the normalised values do not quite have variance 1; Caffe, like every program,
    takes the formula for which they have."""
    rig = norm(in_place=in_place)
    x, g = random(*SHAPE).astype(np.float64), random(*SHAPE, seed=1)
    y = rig.forward(x)
    if in_place:
        rig.top[0].data[...] = 0  # as a Scale in place would overwrite it
    wide = g - column(g.mean(AXES)) - y * column((g * y).mean(AXES))
    close(rig.backward(g)[0], wide / np.sqrt(column(x.var(AXES)) + 1e-5))

    # The same, numerically.
    def objective(z):
        return (g * (z - column(z.mean(AXES))) / np.sqrt(column(z.var(AXES)) + 1e-5)).sum()

    step = np.zeros(SHAPE)
    step[1, 2, 3] = 1e-4
    slope = (objective(x + step) - objective(x - step)) / 2e-4
    assert np.isclose(rig.bottom[0].diff[1, 2, 3], slope, rtol=1e-3)


@pytest.mark.parametrize("last", ["x", "g", "both"])
def test_gradient_in_any_memory_format(last):
    shape, axes = (2, 8, 5, 6), (0, 2, 3)
    tensors = {n: torch.from_numpy(random(*shape, seed=i)) for i, n in enumerate("xg")}
    x, g = (t.numpy().astype(np.float64) for t in tensors.values())
    for name in "xg":
        if last in (name, "both"):
            tensors[name] = tensors[name].contiguous(memory_format=torch.channels_last)
    rig = norm(shape=shape)
    rig.bottom[0].set_data(tensors["x"])
    rig.layer.forward_blobs(rig.bottom, rig.top)
    rig.top[0].set_diff(tensors["g"])
    rig.layer.backward_blobs(rig.top, Need((True,), (False,) * 3), rig.bottom)

    def mean(values):
        return values.mean(axes, keepdims=True)

    y = (x - mean(x)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    expected = (g - mean(g) - y * mean(g * y)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    close(rig.bottom[0].diff, expected)


def test_global_statistics(device):
    rig = norm("eps: 0.1", phase=TEST)
    sums = [[1, 2, 3], [4, 5, 6], [2]]
    for blob, values in zip(rig.layer.blobs, sums):
        blob.data[...] = values
    x, g = random(*SHAPE), random(*SHAPE, seed=1)
    deviation = np.sqrt(column([2, 2.5, 3]) + 0.1)
    close(rig.forward(x), (x - column([0.5, 1, 1.5])) / deviation)
    close(rig.backward(g)[0], g / deviation)
    assert [b.data.tolist() for b in rig.layer.blobs] == sums


def test_statistics_never_summed_count_as_zero():
    x = random(*SHAPE)
    close(norm("eps: 0.25", phase=TEST).forward(x), 2 * x)


@pytest.mark.parametrize("phase, setting", [(TRAIN, "true"), (TEST, "false")])
def test_use_global_stats_overrules_the_phase(phase, setting):
    rig = norm(f"use_global_stats: {setting}", phase=phase)
    rig.forward(random(*SHAPE))
    assert rig.layer.blobs[2].data.item() == (0 if setting == "true" else 1)


def test_one_value_a_channel():
    rig = norm(shape=(1, 3))
    assert not rig.forward(random(1, 3)).any()
    assert not rig.layer.blobs[1].data.any()


def test_its_blobs_are_not_learned():
    """The saved layer says lr_mult 0; the net's own description stays as written."""
    rig = norm()
    assert [p.lr_mult for p in rig.layer.param.param] == [0, 0, 0]
    with pytest.raises(LayerError, match="lr_mult must be 0"):
        Rig('type: "BatchNorm" param { lr_mult: 1 }', SHAPE)


def test_bad_bottoms_are_refused():
    with pytest.raises(ShapeError, match="channel axis"):
        norm(shape=(3,))
    with pytest.raises(ShapeError, match="3 channels"):
        norm().reshape((4, 2, 5))
