"""ROIPooling against a loop of NumPy after Fast R-CNN's rule; wrong regions."""

import numpy as np
import pytest
from harness import Rig, close, random

from caffe.errors import DataError, LayerError, ShapeError

F = np.float32


def c_round(x):
    return int(np.copysign(np.floor(abs(float(x)) + 0.5), x))


def pool(x, rois, pooled, scale):
    """The maxima and the pixel of each (-1: none), one window after the other."""
    top = np.zeros((len(rois), x.shape[1], *pooled), F)
    place = np.full(top.shape, -1)
    for r, roi in enumerate(rois):
        x1, y1, x2, y2 = (c_round(F(v) * F(scale)) for v in roi[1:])
        steps = [F(max(b - a + 1, 1)) / F(n) for a, b, n in zip((y1, x1), (y2, x2), pooled)]
        for p, q in np.ndindex(*pooled):
            (h0, h1), (w0, w1) = (
                [min(max(int(edge) + start, 0), size) for edge in
                 (np.floor(F(i) * step), np.ceil(F(i + 1) * step))]
                for i, step, start, size in zip((p, q), steps, (y1, x1), x.shape[2:])
            )  # fmt: skip
            if h1 <= h0 or w1 <= w0:
                continue
            part = x[int(roi[0]), :, h0:h1, w0:w1].reshape(x.shape[1], -1)
            first = part.argmax(1)
            top[r, :, p, q] = part.max(1)
            place[r, :, p, q] = (h0 + first // (w1 - w0)) * x.shape[3] + w0 + first % (w1 - w0)
    return top, place


def gradient(place, g, x, rois, scale):
    diff = np.zeros((*x.shape[:2], x.shape[2] * x.shape[3]), np.float64)
    for r, roi in enumerate(rois):
        x1, y1, x2, y2 = (c_round(F(v) * F(scale)) for v in roi[1:])
        if x2 < x1 or y2 < y1:  # Fast R-CNN looks for no pixel there
            continue
        for at in np.ndindex(*place.shape[1:]):
            if place[(r, *at)] >= 0:
                diff[int(roi[0]), at[0], place[(r, *at)]] += g[(r, *at)]
    return diff.reshape(x.shape)


def layer(x, rois, pooled, scale):
    text = f"pooled_h: {pooled[0]} pooled_w: {pooled[1]} spatial_scale: {scale}"
    return Rig(f'type: "ROIPooling" roi_pooling_param {{ {text} }}', x.shape, rois.shape)


def case(seed):
    """Random features and regions, some outside the image, some that end before they start."""
    rng = np.random.default_rng(seed)
    n, c, h, w = rng.integers(1, [4, 5, 20, 20])
    scale = float(rng.choice([1, 0.5, 0.125, 0.0625]))
    x = rng.normal(size=(n, c, h, w)).astype(F)
    if seed % 3 == 0:
        x = np.round(x)  # equal maxima
    rois = rng.uniform(-5, max(h, w) / scale + 5, (rng.integers(1, 8), 5)).astype(F)
    if seed % 2:
        rois = np.round(rois * 2) / 2  # halves
    rois[:, 0] = rng.integers(0, n, len(rois))
    return x, rois, tuple(rng.integers(1, 8, 2)), scale


@pytest.mark.parametrize("seed", range(40))
def test_values_and_gradient(seed):
    x, rois, pooled, scale = case(seed)
    rig = layer(x, rois, pooled, scale)
    top, place = pool(x, rois, pooled, scale)
    assert np.array_equal(rig.forward(x, rois), top)
    g = random(*top.shape, seed=seed)
    diff, none = rig.backward(g)
    assert none is None
    assert np.allclose(diff, gradient(place, g, x, rois, scale), atol=1e-5)


def test_on_every_device(device):
    x, rois, pooled, scale = case(9)
    rig = layer(x, rois, pooled, scale)
    top, place = pool(x, rois, pooled, scale)
    close(rig.forward(x, rois), top)
    g = random(*top.shape)
    close(rig.backward(g)[0], gradient(place, g, x, rois, scale))


def test_more_channels_than_are_computed_at_a_time(monkeypatch):
    monkeypatch.setattr("caffe.layer.extensions.roi_pooling._MEMORY", 1)
    test_values_and_gradient(4)


def test_nan_and_minus_infinity_never_win():
    x = np.array([[[[np.nan, -np.inf, np.nan], [1, np.nan, -np.inf]]]], F)
    rois = np.array([[0, 0, 0, 2, 1], [0, 1, 0, 2, 1]], F)
    rig = layer(x, rois, (1, 1), 1)
    assert rig.forward(x, rois).ravel().tolist() == [1, np.finfo(F).min]
    assert rig.backward(1.0)[0].ravel().tolist() == [0, 0, 0, 1, 0, 0]


def test_minus_zero_is_no_less_than_zero():
    x = np.array([[[[-0.0, 0.0]]]], F)
    rois = np.array([[0, 0, 0, 1, 0]], F)
    rig = layer(x, rois, (1, 1), 1)
    rig.forward(x, rois)
    assert rig.backward(1.0)[0].ravel().tolist() == [1, 0]


def test_no_regions():
    x, rois = random(1, 2, 3, 3), np.zeros((0, 5), F)
    rig = layer(x, rois, (2, 2), 1)
    assert rig.forward(x, rois).shape == (0, 2, 2, 2)
    assert not rig.backward()[0].any()


def test_regions_may_have_more_axes():
    x, rois, pooled, scale = case(9)
    rig = layer(x, rois.reshape(-1, 5, 1, 1), pooled, scale)
    close(rig.forward(x, rois.reshape(-1, 5, 1, 1)), pool(x, rois, pooled, scale)[0])


@pytest.mark.parametrize("item", [-1, 2, np.nan])
def test_an_item_that_is_not_in_the_batch(device, item):
    x, rois = random(2, 1, 4, 4), np.array([[0, 0, 0, 1, 1], [item, 0, 0, 1, 1]], F)
    rig = layer(x, rois, (2, 2), 1)
    with pytest.raises(DataError, match=r"region 1 belongs to item .*; expected 0 to 1"):
        rig.forward(x, rois)
        rig.layer.raise_verdict()


def test_settings_and_shapes_that_make_no_sense():
    x = random(1, 1, 4, 4)
    with pytest.raises(LayerError, match="pooled_w must be positive"):
        layer(x, np.zeros((1, 5)), (1, 0), 1)
    with pytest.raises(ShapeError, match="R x 5"):
        layer(x, np.zeros((1, 4)), (1, 1), 1)
    with pytest.raises(ShapeError, match="4 axes"):
        layer(x[0], np.zeros((1, 5)), (1, 1), 1)
