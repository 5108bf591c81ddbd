"""BatchReduction: parts of an axis."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError


def rig_of(text, shape):
    return Rig(f'type: "BatchReduction" batch_reduction_param {{ {text} }}', shape)


@pytest.mark.parametrize("operation", ["SUM", "MEAN"])
def test_levels(device, operation):
    x = random(2, 14, 3)
    how = np.sum if operation == "SUM" else np.mean
    text = f"level: 1 level: 2 level: 3 reduction_param {{ axis: 1 operation: {operation} }}"
    rig = rig_of(text, x.shape)
    parts = [x[:, :1], x[:, 1:5], x[:, 5:]]
    close(rig.forward(x), np.stack([how(part, 1) for part in parts], 1))
    if device == "cpu":
        check_gradient(rig, x)


def test_the_whole_axis_drops_out(device):
    x = random(2, 4, 3)
    close(rig_of("reduction_param { axis: 1 operation: MEAN }", x.shape).forward(x), x.mean(1))
    close(rig_of("level: 2 reduction_param { axis: 1 }", x.shape).forward(x), x.sum(1)[:, None])


def test_batch_reduction_refuses():
    with pytest.raises(ShapeError, match=r"1 \+ 4 = 5 entries on axis 0"):
        rig_of("level: 1 level: 2", (4, 3))
    with pytest.raises(LayerError, match="SUM or MEAN"):
        rig_of("reduction_param { operation: ASUM }", (4, 3))
    with pytest.raises(LayerError, match="level must be positive"):
        rig_of("level: 0", (4, 3))
