"""FlowWarp against a loop of NumPy after FlowNet 2's rule."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError


def warp(x, flow, fill=0.0):
    top = np.full(x.shape, fill)
    height, width = x.shape[2:]
    for n, i, j in np.ndindex(x.shape[0], height, width):
        u, v = j + flow[n, 0, i, j], i + flow[n, 1, i, j]
        if not (0 <= u < width and 0 <= v < height):
            continue
        left, upper = int(u), int(v)
        right, lower = min(left + 1, width - 1), min(upper + 1, height - 1)
        across, down = u - left, v - upper
        top[n, :, i, j] = (
            (1 - across) * (1 - down) * x[n, :, upper, left]
            + across * (1 - down) * x[n, :, upper, right]
            + (1 - across) * down * x[n, :, lower, left]
            + across * down * x[n, :, lower, right]
        )
    return top


@pytest.mark.parametrize("seed", range(40))
def test_values(seed):
    rng = np.random.default_rng(seed)
    n, c, h, w = (int(k) for k in rng.integers(1, [3, 4, 8, 8]))
    x = random(n, c, h, w, seed=seed)
    flow = rng.uniform(-3, 3, (n, 2, h, w)).astype(np.float32)
    if seed % 3 == 0:
        flow = flow.round()  # right on pixels, and on the border
    text = "flow_warp_param { fill_value: NOT_A_NUMBER }" if seed % 2 else ""
    found = Rig(f'type: "FlowWarp" {text}', x.shape, flow.shape).forward(x, flow)
    expected = warp(x, flow, np.nan if seed % 2 else 0.0)
    assert np.allclose(found, expected, atol=1e-5, equal_nan=True)


def test_on_every_device(device):
    x, flow = random(2, 3, 5, 6, seed=1), random(2, 2, 5, 6, seed=2)
    close(Rig('type: "FlowWarp"', x.shape, flow.shape).forward(x, flow), warp(x, flow))


@pytest.mark.parametrize("which", [0, 1])
def test_gradient(which):
    rng = np.random.default_rng(5)
    x = random(1, 2, 4, 5, seed=3)
    # A quarter of a pixel and more away from pixels: between them the top is linear.
    flow = (rng.integers(-1, 2, (1, 2, 4, 5)) + rng.uniform(0.25, 0.75, (1, 2, 4, 5))).astype("f4")
    check_gradient(Rig('type: "FlowWarp"', x.shape, flow.shape), x, flow, bottoms=[which])


def test_flows_that_are_no_numbers_or_point_far_away():
    x = random(1, 1, 3, 3)
    flow = np.zeros((1, 2, 3, 3), np.float32)
    flow[0, 0, 0] = np.nan, np.inf, -1e30
    rig = Rig('type: "FlowWarp"', x.shape, flow.shape)
    found = rig.forward(x, flow)
    assert (found[0, 0, 0] == 0).all() and np.array_equal(found[0, 0, 1:], x[0, 0, 1:])
    gradients = rig.backward(np.ones_like(found))
    assert (gradients[0][0, 0, 1:] == 1).all() and not gradients[0][0, 0, 0].any()
    assert np.isfinite(gradients[1]).all() and not gradients[1][0, :, 0].any()


def test_shapes_that_do_not_fit():
    for flow in [(1, 3, 4, 4), (1, 2, 4, 5), (2, 2, 4, 4)]:
        with pytest.raises(ShapeError, match="their flow N x 2 x H x W"):
            Rig('type: "FlowWarp"', (1, 3, 4, 4), flow)
