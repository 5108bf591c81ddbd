"""ROIAlign against a loop of NumPy after Detectron's rule; wrong settings."""

import math

import numpy as np
import pytest
from harness import Rig, check_gradient, close

from caffe.errors import DataError, LayerError, ShapeError

F = np.float32


def at(plane, y, x):
    """A point of planes C x H x W: 0 from more than a pixel outside on."""
    height, width = plane.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return 0
    y, x = (min(max(v, F(0)), F(n - 1)) for v, n in ((y, height), (x, width)))
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    upper = plane[:, y0, x0] * (1 - (x - x0)) + plane[:, y0, x1] * (x - x0)
    lower = plane[:, y1, x0] * (1 - (x - x0)) + plane[:, y1, x1] * (x - x0)
    return upper * (1 - (y - y0)) + lower * (y - y0)


def pool(x, rois, pooled, scale, ratio):
    top = np.zeros((len(rois), x.shape[1], *pooled), np.float64)
    for r, roi in enumerate(rois):
        x1, y1, x2, y2 = roi[1:] * F(scale)
        windows = [max(end - start, F(1)) / F(n) for start, end, n in
                   ((y1, y2, pooled[0]), (x1, x2, pooled[1]))]  # fmt: skip
        points = [ratio if ratio > 0 else math.ceil(w) for w in windows]
        for p, q in np.ndindex(*pooled):
            for i, j in np.ndindex(*points):
                y = y1 + F(p) * windows[0] + F(i + 0.5) * windows[0] / F(points[0])
                z = x1 + F(q) * windows[1] + F(j + 0.5) * windows[1] / F(points[1])
                top[r, :, p, q] += at(x[int(roi[0])], y, z)
        top[r] /= points[0] * points[1]
    return top


def layer(x, rois, pooled, scale, ratio):
    text = f"pooled_h: {pooled[0]} pooled_w: {pooled[1]} spatial_scale: {scale}"
    if ratio is not None:
        text += f" sampling_ratio: {ratio}"
    return Rig(f'type: "ROIAlign" roi_align_param {{ {text} }}', x.shape, rois.shape)


def case(seed):
    """Random features and regions, some far outside the image, some that end before they start."""
    rng = np.random.default_rng(seed)
    n, c, h, w = rng.integers(1, [3, 4, 14, 14])
    pooled = tuple(int(p) for p in rng.integers(1, 6, 2))
    scale = float(rng.choice([1, 0.5, 0.125, 0.0625]))
    ratio = int(rng.choice([-1, 0, 1, 2, 3]))
    x = rng.normal(size=(n, c, h, w)).astype(F)
    rois = rng.uniform(-10, max(h, w) / scale + 10, (rng.integers(1, 7), 5)).astype(F)
    rois[:, 0] = rng.integers(0, n, len(rois))
    if rng.integers(2):
        rois[:, 3:] = rois[:, 1:3] + rng.uniform(0, 40 / scale, (len(rois), 2)).astype(F)
    return x, rois, pooled, scale, ratio


@pytest.mark.parametrize("seed", range(40))
def test_values(seed):
    expected = pool(*case(seed))
    found = layer(*case(seed)).forward(*case(seed)[:2])
    assert np.allclose(found, expected, atol=1e-5)


def test_points_on_the_edge_of_what_counts():
    """Points at -1 and at H count as the border, those beyond as nothing."""
    x = np.arange(1, 5, dtype=F).reshape(1, 1, 2, 2)
    rois = np.array([[0, -1.5, -1.5, 2.5, 2.5], [0, -2.5, 0, 5.5, 1]], F)
    found = layer(x, rois, (2, 4), 1, 1).forward(x, rois)
    assert np.allclose(found, pool(x, rois, (2, 4), 1, 1)) and found[0, 0, 0, 0] > 0


def test_on_every_device(device):
    args = case(13)
    rig = layer(*args)
    expected = pool(*args)
    close(rig.forward(*args[:2]), expected)
    # The gradient of a sum of tops with the tops' own values is that of linear means.
    diff = rig.backward(expected)[0]
    assert float((diff * args[0]).sum()) == pytest.approx(float((expected**2).sum()), rel=1e-4)


def test_gradient():
    args = case(39)
    check_gradient(layer(*args), *args[:2])


def test_many_regions_are_taken_some_at_a_time(monkeypatch):
    from caffe.layer.extensions import roi_align

    args = case(2)
    whole = layer(*args).forward(*args[:2])
    monkeypatch.setattr(roi_align, "_MEMORY", 1)
    assert np.allclose(layer(*args).forward(*args[:2]), whole, atol=1e-6)


def test_no_regions():
    x = np.zeros((1, 2, 3, 3), F)
    assert layer(x, np.zeros((0, 5)), (2, 2), 1, 2).forward(x).shape == (0, 2, 2, 2)


def test_settings_and_regions_that_make_no_sense():
    x, rois = np.zeros((1, 2, 3, 3), F), np.zeros((1, 5), F)
    with pytest.raises(LayerError, match="pooled_h must be positive"):
        layer(x, rois, (0, 2), 1, 2)
    with pytest.raises(LayerError, match="spatial_scale must be positive"):
        layer(x, rois, (2, 2), 0, 2)
    with pytest.raises(ShapeError, match="R x 5"):
        layer(x, np.zeros((1, 4)), (2, 2), 1, 2)
    rois[0, 0] = 3
    with pytest.raises(DataError, match="region 0 belongs to item 3"):
        layer(x, rois, (2, 2), 1, 2).forward(x, rois)
    with pytest.raises(LayerError, match=r"settings stand in roi_pooling_param.*not implemented"):
        Rig('type: "ROIAlign" roi_pooling_param { pooled_h: 2 pooled_w: 2 }', x.shape, rois.shape)
