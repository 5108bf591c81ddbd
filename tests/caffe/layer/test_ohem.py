"""R-FCN's losses with one value a region, and the choice of the hardest."""

import numpy as np
import pytest
from harness import Rig, close, random

from caffe.errors import LayerError, ShapeError

F = np.float32


@pytest.mark.parametrize("ignore", [None, 1])
def test_softmax_with_the_loss_of_each_region(device, ignore):
    scores, labels = random(5, 3), np.array([0, 2, 1, 1, 0], F)
    text = "" if ignore is None else f"loss_param {{ ignore_label: {ignore} }}"
    rig = Rig(f'type: "SoftmaxWithLossOHEM" {text}', (5, 3), (5,), tops=3)
    plain = Rig(f'type: "SoftmaxWithLoss" {text}', (5, 3), (5,), tops=2)
    prob = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    each = -np.log(prob[np.arange(5), labels.astype(int)]) * (labels != ignore)
    close(rig.forward(scores, labels), plain.forward(scores, labels))
    close(rig.top[1].data, prob)
    assert rig.top[2].dims == (5, 1, 1, 1)
    close(rig.top[2].data.ravel(), each)
    close(rig.backward(1.0, 0.0, 7.0)[0], plain.backward(1.0, 0.0)[0])


@pytest.mark.parametrize(
    ("text", "divisor"),
    [
        ("", 4),
        ("normalization: FULL", 4),
        ("normalization: BATCH_SIZE", 4),
        ("normalization: NONE", 1),
        ("normalization: PRE_FIXED pre_fixed_normalizer: 128", 128),
        ("normalization: PRE_FIXED", 1),
    ],
)
def test_smooth_l1_with_the_loss_of_each_region(device, text, divisor):
    a, b = random(4, 6, 1, 1), random(4, 6, seed=1)
    weights = (random(4, 6, 1, 1, seed=2) > 0).astype(F)
    rig = Rig(
        f'type: "SmoothL1LossOHEM" loss_param {{ {text} }}', a.shape, b.shape, a.shape, tops=2
    )
    x = weights * (a - b.reshape(a.shape))
    errors = np.where(np.abs(x) < 1, x * x / 2, np.abs(x) - 0.5)
    close(rig.forward(a, b, weights), errors.sum() / divisor)
    assert rig.top[1].dims == (4, 1, 1, 1)
    close(rig.top[1].data.ravel(), errors.sum((1, 2, 3)))
    diffs = rig.backward(3.0, 5.0)
    close(diffs[0], np.clip(x, -1, 1) * 3 / divisor)
    close(diffs[1], -np.clip(x, -1, 1).reshape(4, 6) * 3 / divisor)


def test_a_fixed_divisor_of_softmax_with_loss():
    scores, labels = random(5, 3), np.array([0, 2, 1, 1, 0], F)
    text = "loss_param {{ normalization: {} }}"
    fixed = "PRE_FIXED pre_fixed_normalizer: 20"
    losses = [
        Rig(f'type: "SoftmaxWithLoss" {text.format(mode)}', (5, 3), (5,)).forward(scores, labels)
        for mode in ("NONE", fixed)
    ]
    assert losses[0] == pytest.approx(20 * losses[1])


def annotate(text, regions, losses, labels, weights):
    rig = Rig(
        f'type: "BoxAnnotatorOHEM" box_annotator_ohem_param {{ {text} }}',
        regions.shape, losses.shape, labels.shape, weights.shape, tops=2,
    )  # fmt: skip
    rig.forward(regions, losses, labels, weights)
    return [top.data.copy() for top in rig.top]


def test_the_hardest_regions_of_each_image(device):
    regions = np.zeros((6, 5), F)
    regions[:, 0] = [0, 1, 0, 1, 0, 0]
    losses = np.array([3, 1, 5, 2, 5, 4], F)
    labels = np.array([1, 2, 3, 4, 5, 6], F)
    weights = random(6, 8, low=1)
    found, counted = annotate(
        "roi_per_img: 2 ignore_label: -7", regions, losses, labels.reshape(6, 1, 1, 1), weights
    )
    assert found.ravel().tolist() == [-7, 2, 3, 4, 5, -7]
    kept = np.array([0, 1, 1, 1, 1, 0])[:, None]
    assert counted.shape == (6, 8, 1, 1) and np.array_equal(counted[..., 0, 0], weights * kept)


def test_fewer_regions_than_may_count():
    args = np.zeros((2, 5), F), np.ones(2, F), np.array([3, 0], F), np.ones((2, 4), F)
    labels, weights = annotate("roi_per_img: 9", *args)
    assert labels.ravel().tolist() == [3, 0] and weights.all()


def test_shapes_and_settings_that_make_no_sense():
    with pytest.raises(ShapeError, match="the targets must have the shape of the predictions"):
        Rig('type: "SmoothL1LossOHEM"', (4, 6), (4, 5))
    args = np.zeros((2, 5), F), np.ones(2, F), np.ones(2, F), np.ones((2, 4), F)
    with pytest.raises(LayerError, match="roi_per_img must be positive"):
        annotate("", *args)
    with pytest.raises(ShapeError, match="one loss and label for each"):
        annotate("roi_per_img: 1", args[0], np.ones(3, F), *args[2:])
    with pytest.raises(ShapeError, match="the weights must be 2 x C"):
        annotate("roi_per_img: 1", *args[:3], np.ones((3, 4), F))
