"""SegAccuracy against a confusion matrix, pixel by pixel."""

import numpy as np
import pytest
from harness import Rig, random

from caffe.errors import LayerError, ShapeError
from caffe.layer._loss import LabelError


def measures(scores, labels, ignored, outputs=()):
    classes = max(2, scores.shape[1])
    table = np.zeros((classes, classes))
    for n, h, w in np.ndindex(labels.shape[0], *labels.shape[2:]):
        label = int(labels[n, 0, h, w])
        if label not in ignored:
            some = scores[n, :, h, w]
            table[label, some.argmax() if len(some) > 1 else int(some[0] > 0.5)] += 1
    right, actual, found = table.diagonal(), table.sum(1), table.sum(0)
    union = actual + found - right
    overlap = [r / u if r != u else 1 for r, u in zip(right, union)]
    recall = [r / a for r, a in zip(right, actual) if a]
    rows = [[right.sum() / table.sum(), np.mean(recall), np.mean(overlap)]]
    for c in outputs:
        rows.append([right[c] / found[c], right[c] / actual[c], overlap[c]])
    return rows


def rig_of(text, channels=4, tops=1):
    shapes = (2, channels, 5, 6), (2, 1, 5, 6)
    return Rig(f'type: "SegAccuracy" seg_accuracy_param {{ {text} }}', *shapes, tops=tops)


def labels_of(*values):
    return np.random.default_rng(3).choice(values, (2, 1, 5, 6)).astype(np.float32)


@pytest.mark.parametrize("ignored", [[], [255], [255, 0]])
@pytest.mark.parametrize("present", [[0, 1, 2, 3], [0, 1]])
def test_shares(device, ignored, present):
    scores, labels = random(2, 4, 5, 6), labels_of(*present, *ignored)
    rig = rig_of(" ".join(f"ignore_label: {n}" for n in ignored))
    found = rig.forward(scores, labels)
    assert found.shape == (1, 1, 1, 3)
    assert np.allclose(found.ravel(), measures(scores, labels, ignored)[0], atol=1e-6)


def test_one_channel_is_two_classes(device):
    scores, labels = random(2, 1, 5, 6, low=0, high=1), labels_of(0, 1)
    found = rig_of("", 1).forward(scores, labels)
    assert np.allclose(found.ravel(), measures(scores, labels, [])[0], atol=1e-6)


def test_a_top_for_each_class_that_is_asked_for():
    scores, labels = random(2, 4, 5, 6), labels_of(0, 1, 2, 3)
    rig = rig_of("output_label: 2 output_label: 0", tops=3)
    rig.forward(scores, labels)
    found = [top.data.ravel() for top in rig.top]
    assert np.allclose(found, measures(scores, labels, [], [2, 0]), atol=1e-6)


def test_counts_add_up_without_reset():
    scores, labels = random(2, 4, 5, 6), labels_of(0, 1, 2, 3)
    again = random(2, 4, 5, 6, seed=1)
    rig = rig_of("reset: false")
    rig.forward(scores, labels)
    found = rig.forward(again, labels)
    both = measures(np.concatenate([scores, again]), np.concatenate([labels] * 2), [])[0]
    assert np.allclose(found.ravel(), both, atol=1e-6)
    rig = rig_of("")
    rig.forward(scores, labels)
    assert np.allclose(rig.forward(again, labels).ravel(), measures(again, labels, [])[0])


def test_everything_ignored():
    found = rig_of("ignore_label: 255").forward(random(2, 4, 5, 6), labels_of(255))
    assert found.ravel().tolist() == [0, 0, 1]


def test_wrong_labels_and_settings(device):
    with pytest.raises(LabelError, match="label 4 at"):
        rig = rig_of("ignore_label: 255")
        rig.forward(random(2, 4, 5, 6), labels_of(4))
        rig.layer.raise_verdict()
    with pytest.raises(LayerError, match=r"1 top\(s\) for 1 output_label"):
        rig_of("output_label: 1")
    with pytest.raises(LayerError, match="output_label 4 is none of the 4 classes"):
        rig_of("output_label: 4", tops=2)
    with pytest.raises(ShapeError, match="labels N x 1 x H x W"):
        Rig('type: "SegAccuracy"', (2, 3, 4, 5), (2, 1, 4, 4))
