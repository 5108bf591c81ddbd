"""CTCLoss and CtcLoss: against the sum over all ways to read the labels, and the gradient."""

import itertools

import numpy as np
import pytest
from harness import Rig, check_gradient, random

from caffe.errors import DataError, LayerError, ShapeError


def read(path, blank):
    """What a sequence of classes says: repeats merged, then blanks left out."""
    return [c for c, _ in itertools.groupby(path) if c != blank]


def by_all_ways(scores, labels, blank):
    """-log of the probability of all paths that read as the labels."""
    powers = np.exp(scores.astype(float))
    p = powers / powers.sum(1, keepdims=True)
    steps, classes = scores.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=steps):
        if read(path, blank) == list(labels):
            total += np.prod([p[t, c] for t, c in enumerate(path)])
    return -np.log(total)


def ctc(words="", steps=5, count=2, classes=3):
    text = f'type: "CTCLoss" ctc_loss_param {{ {words} }}'
    return Rig(text, (steps, count, classes), (steps, count), (steps, count))


def marks(lengths, steps=5):
    going = np.zeros((steps, len(lengths)))
    for n, length in enumerate(lengths):
        going[1:length, n] = 1
    return going


def labels_of(*rows, steps=5):
    labels = np.full((steps, len(rows)), -1.0)
    for n, row in enumerate(rows):
        labels[: len(row), n] = row
    return labels


@pytest.mark.parametrize(("words", "blank"), [("", 2), ("blank_index: 0", 0)])
def test_ctc_loss(words, blank):
    scores = random(5, 2, 3)
    classes = [c for c in range(3) if c != blank]
    rows = [classes, [classes[1], classes[1]]]
    rig = ctc(words)
    loss = rig.forward(scores, marks([5, 4]), labels_of(*rows))
    expected = [
        by_all_ways(scores[:5, 0], rows[0], blank),
        by_all_ways(scores[:4, 1], rows[1], blank),
    ]
    assert float(loss) == pytest.approx(sum(expected) / 2, rel=1e-4)
    check_gradient(rig, scores, marks([5, 4]), labels_of(*rows), bottoms=[0])


def test_a_sequence_without_labels_counts_nothing():
    scores = random(5, 2, 3)
    loss = ctc().forward(scores, marks([5, 1]), labels_of([0, 1], []))
    assert float(loss) == pytest.approx(by_all_ways(scores[:, 0], [0, 1], 2) / 2, rel=1e-4)
    assert float(ctc().forward(scores, marks([1, 1]), labels_of([], []))) == 0


def test_ctc_loss_of_two_bottoms():
    scores = random(4, 2, 3)
    rig = Rig('type: "CtcLoss" ctc_loss_param { alphabet_size: 3 time_step: 4 }', (4, 2, 3), (2, 3))
    labels = np.array([[1, 2, 0], [2, 0, 0]])
    expected = [by_all_ways(scores[:, 0], [1, 2], 0), by_all_ways(scores[:, 1], [2], 0)]
    assert float(rig.forward(scores, labels)) == pytest.approx(sum(expected) / 2, rel=1e-4)
    check_gradient(rig, scores, labels, bottoms=[0])


def test_what_is_refused():
    with pytest.raises(LayerError, match="output_delay, .* are not implemented"):
        ctc("output_delay: 1")
    with pytest.raises(LayerError, match="blank_index 3 is none of 3 classes"):
        ctc("blank_index: 3")
    with pytest.raises(DataError, match="sequence 0 has the label 2: expected 0 to 2 without"):
        ctc().forward(random(5, 2, 3), marks([5, 5]), labels_of([0, 2], [1]))
    with pytest.raises(DataError, match="sequence 1 has 2 steps, which are too few for its 2"):
        ctc().forward(random(5, 2, 3), marks([5, 2]), labels_of([0], [1, 1]))
    with pytest.raises(ShapeError, match="labels must be 5 x 2"):
        Rig('type: "CTCLoss"', (5, 2, 3), (5, 2), (2, 5))
    with pytest.raises(ShapeError, match="time_step is 7"):
        Rig('type: "CtcLoss" ctc_loss_param { time_step: 7 }', (4, 2, 3), (2, 3))
