"""PSROIPooling against a loop of NumPy after R-FCN's rule; wrong settings."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close

from caffe.errors import LayerError, ShapeError

F = np.float32


def pool(x, rois, outputs, group, scale):
    top = np.zeros((len(rois), outputs, group, group), F)
    for r, roi in enumerate(rois):
        x1, y1, x2, y2 = np.copysign(np.floor(np.abs(roi[1:].astype(np.float64)) + 0.5), roi[1:])
        starts = [F(v) * F(scale) for v in (y1, x1)]
        ends = [F(v + 1) * F(scale) for v in (y2, x2)]
        steps = [max(b - a, F(0.1)) / F(group) for a, b in zip(starts, ends)]
        for c, p, q in np.ndindex(*top.shape[1:]):
            (h0, h1), (w0, w1) = (
                np.clip([int(np.floor(F(i) * step + start)), int(np.ceil(F(i + 1) * step + start))],
                        0, size)
                for i, step, start, size in zip((p, q), steps, starts, x.shape[2:])
            )  # fmt: skip
            if h1 > h0 and w1 > w0:
                plane = x[int(roi[0]), (c * group + p) * group + q]
                top[r, c, p, q] = plane[h0:h1, w0:w1].astype(np.float64).mean()
    return top


def layer(x, rois, outputs, group, scale):
    text = f"output_dim: {outputs} group_size: {group} spatial_scale: {scale}"
    return Rig(f'type: "PSROIPooling" psroi_pooling_param {{ {text} }}', x.shape, rois.shape)


def case(seed):
    rng = np.random.default_rng(seed)
    n, outputs, group, h, w = rng.integers(1, [3, 4, 5, 16, 16])
    scale = float(rng.choice([1, 0.5, 0.125, 0.0625]))
    x = rng.normal(size=(n, outputs * group**2, h, w)).astype(F)
    rois = rng.uniform(-5, max(h, w) / scale + 5, (rng.integers(1, 8), 5)).astype(F)
    rois[:, 0] = rng.integers(0, n, len(rois))
    return x, rois, outputs, group, scale


@pytest.mark.parametrize("seed", range(40))
def test_values(seed):
    expected = pool(*case(seed))
    found = layer(*case(seed)).forward(*case(seed)[:2])
    assert np.allclose(found, expected, atol=1e-6)


def test_on_every_device(device):
    args = case(3)
    rig = layer(*args)
    expected = pool(*args)
    close(rig.forward(*args[:2]), expected)
    # The gradient of a sum of tops with the tops' own values is that of linear means.
    diff = rig.backward(expected)[0]
    assert float((diff * args[0]).sum()) == pytest.approx(float((expected**2).sum()), rel=1e-4)


@pytest.mark.slow
def test_gradient():
    args = case(5)
    check_gradient(layer(*args), *args[:2])


def test_settings_and_shapes_that_make_no_sense():
    x, rois = np.zeros((1, 8, 3, 3)), np.zeros((1, 5))
    for outputs, group, scale, match in [
        (0, 2, 1, "output_dim must be positive"),
        (2, 0, 1, "group_size must be positive"),
        (2, 2, 0, "spatial_scale must be positive"),
    ]:
        with pytest.raises(LayerError, match=match):
            layer(x, rois, outputs, group, scale)
    with pytest.raises(ShapeError, match=r"output_dim group_size\^2 = 3 x 2\^2 = 12 channels"):
        layer(x, rois, 3, 2, 1)
