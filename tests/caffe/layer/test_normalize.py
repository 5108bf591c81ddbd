"""Normalize: values against NumPy, gradients numerically and against SSD's formula."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import ShapeError

SHAPE = (2, 3, 4, 5)
FILL = 'scale_filler { type: "uniform" min: 1 max: 3 }'


def rig(settings, shape=SHAPE):
    return Rig(f'type: "Normalize" norm_param {{ {settings} }}', shape)


def norm(x, across, eps=1e-10):
    axes = tuple(range(1, x.ndim)) if across else (1,)
    return np.sqrt((x.astype(np.float64) ** 2).sum(axes, keepdims=True) + eps)


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_values(device, across, shared):
    layer = rig(f"across_spatial: {across} channel_shared: {shared} {FILL}".lower())
    x = random(*SHAPE)
    (scale,) = layer.layer.blobs
    assert scale.dims == (() if shared else (3,))
    factor = scale.data if shared else scale.data.reshape(1, 3, 1, 1)
    close(layer.forward(x), x / norm(x, across) * factor)


def test_defaults_and_eps():
    x = random(2, 3) * 0.1  # SSD takes two axes as well
    layer = rig("eps: 0.5", (2, 3))
    assert float(layer.layer.blobs[0].data) == 1
    close(layer.forward(x), x / norm(x, True, 0.5))
    assert not rig("").forward(np.zeros(SHAPE)).any()


@pytest.mark.parametrize("settings", ["", "across_spatial: false", "channel_shared: false"])
def test_gradient(settings):
    filler = 'scale_filler { type: "constant" value: 2 }'  # equal scales: see below
    check_gradient(rig(f"{settings} {filler}", (2, 3, 2, 2)), random(2, 3, 2, 2) + 0.3, step=1e-2)


@pytest.mark.parametrize("across", [True, False])
def test_gradient_with_different_scales_is_that_of_ssd(across):
    layer = rig(f"across_spatial: {across} channel_shared: false {FILL}".lower())
    x, g = random(*SHAPE), random(*SHAPE, seed=1)
    layer.forward(x)
    (diff,) = layer.backward(g)
    n, scale = norm(x, across), layer.layer.blobs[0].data.reshape(1, 3, 1, 1)
    axes = (1, 2, 3) if across else (1,)
    close(diff, scale * (g - x * (x * g).sum(axes, keepdims=True) / n**2) / n)
    close(layer.layer.blobs[0].diff, (x / n * g).sum((0, 2, 3)))


def test_another_size_and_another_number_of_channels():
    layer = rig("channel_shared: false across_spatial: false")
    assert layer.reshape((1, 3, 7, 2)) == [(1, 3, 7, 2)]
    with pytest.raises(ShapeError, match="scale is for 3 channels"):
        layer.reshape((1, 4, 7, 2))
    with pytest.raises(ShapeError, match="channel axis"):
        rig("", (3,))
