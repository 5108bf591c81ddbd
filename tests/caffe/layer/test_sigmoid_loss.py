"""SigmoidCrossEntropyLoss."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError

SHAPE = (2, 3, 4)
target = np.random.default_rng(0).integers(0, 3, SHAPE).astype(np.float32) / 2  # 0, 0.5, 1


def losses(x):
    s = 1 / (1 + np.exp(-x.astype(np.float64)))
    return -(target * np.log(s) + (1 - target) * np.log(1 - s))


@pytest.mark.parametrize(
    "setting, divisor",
    [
        ("", 2),
        ("normalization: FULL", 24),
        ("normalization: VALID", 24),
        ("normalization: NONE", 1),
        ("normalize: true", 24),
        ("normalize: false", 2),
    ],
)
@pytest.mark.parametrize("ignore", [None, 1])
def test_forward_and_gradient(device, setting, divisor, ignore):
    kept = np.trunc(target) != (-7 if ignore is None else ignore)
    if ignore is not None:
        if setting in ("normalization: VALID", "normalize: true"):
            divisor = kept.sum()
        setting += f" ignore_label: {ignore}"
    rig = Rig(f'type: "SigmoidCrossEntropyLoss" loss_param {{ {setting} }}', SHAPE, (2, 12))
    x = random(*SHAPE)
    close(rig.forward(x, target.reshape(2, 12)), (losses(x) * kept).sum() / divisor)
    if device == "cpu":
        check_gradient(rig, x, target.reshape(2, 12))


def test_ignoring_0_drops_soft_targets_too():
    rig = Rig('type: "SigmoidCrossEntropyLoss" loss_param { ignore_label: 0 }', SHAPE, SHAPE)
    x = random(*SHAPE)
    close(rig.forward(x, target), losses(x)[target == 1].sum() / 2)
    assert not rig.backward(1.0)[0][target == 0.5].any()


def test_large_scores_stay_finite():
    rig = Rig('type: "SigmoidCrossEntropyLoss"', (1, 2), (1, 2))
    assert rig.forward(np.array([[500, -500]]), np.array([[0, 1]])) == 1000


def test_bad_bottoms_are_refused():
    with pytest.raises(ShapeError, match="same count"):
        Rig('type: "SigmoidCrossEntropyLoss"', (2, 3), (2, 4))
    with pytest.raises(ShapeError, match="same first dimension"):
        Rig('type: "SigmoidCrossEntropyLoss"', (2, 3), (3, 2))
