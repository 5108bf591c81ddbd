"""CenterLoss: the distance from the centre of a class, and how centres move."""

import numpy as np
import pytest
from harness import Rig, close, random

from caffe.errors import DataError, LayerError, ShapeError

LABELS = np.array([2, 0, 2, 2, 1])


def center(words="num_output: 4", features=(5, 3), labels=(5,)):
    text = f'center_loss_param {{ {words} center_filler {{ type: "uniform" }} }}'
    return Rig(f'type: "CenterLoss" {text}', features, labels)


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 1, 1)])
def test_loss_and_diffs(device, shape):
    x = random(*shape)
    rig = center(features=shape)
    centres = rig.layer.blobs[0].data.copy()
    away = x.reshape(5, 3) - centres[LABELS]
    close(rig.forward(x, LABELS), (away**2).sum() / 10)
    diff, _ = rig.backward(2.0)
    close(diff.reshape(5, 3), 2 * away / 5)
    expected = np.zeros((4, 3))
    for label in range(4):
        own = away[label == LABELS]
        expected[label] = -own.sum(0) / (len(own) + 1)
    close(rig.layer.blobs[0].diff, expected)


def test_the_gradient_of_the_features_is_the_losss():
    x = random(5, 3)
    rig = center()
    rig.forward(x, LABELS)
    diff = rig.backward(1.0)[0]
    step = np.zeros_like(x)
    step[3, 1] = 1e-2
    slope = (rig.forward(x + step, LABELS) - rig.forward(x - step, LABELS)) / 2e-2
    assert diff[3, 1] == pytest.approx(slope, abs=1e-3)


def test_what_is_refused():
    with pytest.raises(LayerError, match="needs num_output"):
        center("")
    with pytest.raises(ShapeError, match="one label for each of 5 rows"):
        center(labels=(5, 2))
    with pytest.raises(ShapeError, match="centres are for 3 features"):
        center().reshape((5, 4), (5,))
    with pytest.raises(DataError, match="label 4 .* out of range"):
        center().forward(random(5, 3), LABELS + 2)
