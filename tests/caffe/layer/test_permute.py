"""Permute: against NumPy's transpose, and axes that are not there."""

import numpy as np
import pytest
from harness import Rig, random

from caffe.errors import ShapeError


@pytest.mark.parametrize(
    ("order", "full"),
    [([0, 2, 3, 1], (0, 2, 3, 1)), ([3], (3, 0, 1, 2)), ([], (0, 1, 2, 3)), ([1, 0], (1, 0, 2, 3))],
)
def test_permute(device, order, full):
    body = " ".join(f"order: {axis}" for axis in order)
    rig = Rig(f'type: "Permute" permute_param {{ {body} }}', (2, 3, 4, 5))
    x = random(2, 3, 4, 5)
    assert np.array_equal(rig.forward(x), x.transpose(full))
    assert rig.top[0].data.flags.c_contiguous
    g = random(*rig.top[0].dims, seed=1)
    (d,) = rig.backward(g)
    assert np.array_equal(d, g.transpose(np.argsort(full)))


@pytest.mark.parametrize(
    ("body", "match"), [("order: 4", "axis 4"), ("order: 1 order: 1", "twice")]
)
def test_permute_of_axes_that_are_not_there(body, match):
    with pytest.raises(ShapeError, match=match):
        Rig(f'type: "Permute" permute_param {{ {body} }}', (2, 3, 4, 5))
