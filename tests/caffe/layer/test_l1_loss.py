"""L1Loss against NumPy, with FlowNet's settings, and NaN for what is not known."""

import numpy as np
import pytest
from harness import Rig, check_gradient, random

from caffe.errors import ShapeError


def loss(d, l2=False, prescale=False, entries=False, epsilon=1e-2, plateau=0.0):
    known = ~np.isnan(d)
    count = known.sum() / d.shape[1] if entries else d.shape[0]
    d = np.where(known, d, 0).astype(np.float64)
    if not l2:
        d = np.abs(d)
        return d[d >= plateau].sum() / count
    squares = (d**2).sum(1) / (d.shape[1] if prescale else 1)
    squares[squares < plateau**2] = 0
    return np.sqrt(squares + epsilon).sum() / count


SETTINGS = [
    ("", {}),
    ("l2_per_location: true epsilon: 0.5", {"l2": True, "epsilon": 0.5}),
    ("l2_per_location: true l2_prescale_by_channels: true", {"l2": True, "prescale": True}),
    ("normalize_by_num_entries: true plateau: 0.7", {"entries": True, "plateau": 0.7}),
    (
        "l2_per_location: true normalize_by_num_entries: true plateau: 1.5",
        {"l2": True, "entries": True, "plateau": 1.5},
    ),
]


@pytest.mark.parametrize("text, settings", SETTINGS)
@pytest.mark.parametrize("bottoms", [1, 2])
def test_values_and_gradients(bottoms, text, settings):
    arrays = [random(2, 3, 4, 5, seed=i) for i in range(bottoms)]
    arrays[-1][0, :, 1] = np.nan
    arrays[-1][1, 0, 2] = np.nan  # known in the other channels
    rig = Rig(f'type: "L1Loss" l1_loss_param {{ {text} }}', *[(2, 3, 4, 5)] * bottoms)
    difference = arrays[0] - arrays[1] if bottoms == 2 else arrays[0]
    assert float(rig.forward(*arrays)) == pytest.approx(loss(difference, **settings), rel=1e-5)
    gradients = rig.backward(1.0)
    assert all(np.isfinite(g).all() for g in gradients)
    assert not gradients[0][np.isnan(difference)].any() and gradients[0].any()
    if bottoms == 2:
        assert np.allclose(gradients[0], -gradients[1])


@pytest.mark.parametrize("text", ["", "l2_per_location: true"])
def test_gradient(text):
    a, b = random(2, 2, 3, 3, seed=1), random(2, 2, 3, 3, seed=2) + np.float32(6)
    check_gradient(Rig(f'type: "L1Loss" l1_loss_param {{ {text} }}', a.shape, a.shape), a, b)


def test_equal_bottoms_pull_nowhere():
    a = random(2, 3)
    rig = Rig('type: "L1Loss"', a.shape, a.shape)
    assert rig.forward(a, a) == 0 and not rig.backward(1.0)[0].any()


def test_on_every_device(device):
    a, b = random(3, 2, 4, 4, seed=1), random(3, 2, 4, 4, seed=2)
    rig = Rig('type: "L1Loss"', a.shape, a.shape)
    assert float(rig.forward(a, b)) == pytest.approx(loss(a - b), rel=1e-5)


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match="same dimension"):
        Rig('type: "L1Loss"', (2, 3), (2, 4))
    with pytest.raises(ShapeError, match="axis of channels"):
        Rig('type: "L1Loss" l1_loss_param { l2_per_location: true }', (2,))
