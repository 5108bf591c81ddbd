"""SoftmaxWithLoss: normalisation, ignored labels, saturation, labels out of range."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import DataError, LayerError, ShapeError

SCORES, LABELS = (2, 5, 3, 4), (2, 1, 3, 4)
label = np.random.default_rng(0).integers(0, 5, LABELS).astype(np.float32)
label[0, 0, 0, :3] = [0, 2, 2]


def loss(body: str = "", scores=SCORES, labels=LABELS, **options) -> Rig:
    return Rig(f'type: "SoftmaxWithLoss" {body}', scores, labels, **options)


def negative_logs(x):
    """-log p of the true class, (2, 3, 4)."""
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    return -np.log(np.take_along_axis(p, label.astype(int), 1))[:, 0]


@pytest.mark.parametrize(
    "setting, divisor",
    [
        ("", 24),
        ("normalization: VALID", 24),
        ("normalization: FULL", 24),
        ("normalization: BATCH_SIZE", 2),
        ("normalization: NONE", 1),
        ("normalize: true", 24),
        ("normalize: false", 2),
        ("normalization: FULL normalize: false", 24),  # the new field wins
    ],
)
@pytest.mark.parametrize("ignore", [None, 2])
def test_normalisation(device, setting, divisor, ignore):
    kept = label[:, 0] != ignore
    if ignore is not None:
        if setting in ("", "normalization: VALID", "normalize: true"):
            divisor = kept.sum()
        setting += f" ignore_label: {ignore}"
    rig = loss(f"loss_param {{ {setting} }}")
    x = random(*SCORES)
    close(rig.forward(x, label), (negative_logs(x) * kept).sum() / divisor)
    if device == "cpu":
        check_gradient(rig, x, label)
    d = rig.backward(1.0)[0]
    assert not d.transpose(0, 2, 3, 1)[~kept].any()


def test_the_gradient_carries_the_loss_weight():
    rig = loss()
    x = random(*SCORES)
    rig.forward(x, label)
    once = rig.backward(1.0)[0]
    close(rig.backward(3.0)[0], 3 * once)


def test_255_is_ignored_though_no_class():
    rig = loss("loss_param { ignore_label: 255 }")
    x = random(*SCORES)
    edges = label.copy()
    edges[1] = 255
    close(rig.forward(x, edges), negative_logs(x)[0].mean())
    edges[:] = 255
    assert rig.forward(x, edges) == 0 and not rig.backward(1.0)[0].any()


def test_labels_are_truncated():
    x = random(*SCORES)
    rig = loss()
    exact = rig.forward(x, label)
    assert rig.forward(x, label + 0.9) == exact
    assert rig.forward(x, np.where(label == 0, -0.9, label)) == exact


def test_the_loss_saturates():
    """log of the smallest normal float32, 1.17549435e-38."""
    rig = loss(scores=(1, 2), labels=(1,))
    close(rig.forward(np.array([[0, 1000]]), np.zeros(1)), np.float32(87.33654))
    close(rig.backward(1.0)[0], np.array([[-1, 1]]))


def test_the_second_top_is_the_probabilities():
    rig = loss(tops=2)
    x = random(*SCORES)
    rig.forward(x, label)
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    close(rig.top[1].data, p)
    expected = rig.backward(1.0)[0]
    rig.top[1].data[...] *= 0.5  # Caffe's gradient reads them there
    close(rig.backward(1.0)[0], expected - 0.5 * p / 24)


def test_another_class_axis():
    shape = (3, 4, 5)
    rig = loss("softmax_param { axis: -1 }", shape, (3, 4))
    check_gradient(rig, random(*shape), np.arange(12).reshape(3, 4) % 5)


@pytest.mark.parametrize(
    "value, body, words",
    [
        (5, "", r"label 5 at \(n, h, w\) = \(1, 2, 0\) .* 'b1' .* 0 to 4 .*1 of 24"),
        (-1, "", r"label -1 at"),
        (255, "", r"ignore_label: 255 }"),
        (7, "loss_param { ignore_label: 255 }", r"0 to 4 or the ignore_label 255"),
        (np.nan, "", r"label nan at"),
    ],
)
def test_labels_out_of_range(device, value, body, words):
    """BVLC Caffe reads and writes outside its memory here."""
    bad = label.copy()
    bad[1, 0, 2, 0] = value
    rig = loss(body)
    with pytest.raises(LayerError, match="layer 'layer' .type SoftmaxWithLoss.*" + words) as caught:
        rig.forward(random(*SCORES), bad)
    assert isinstance(caught.value, DataError)
    with pytest.raises(DataError, match=words.removesuffix(" .*1 of 24")):
        rig.backward(1.0)
        rig.layer.raise_verdict()  # where a GPU says what it found


def test_bad_bottoms_are_refused():
    with pytest.raises(ShapeError, match="same first dimension"):
        loss(labels=(3, 1, 3, 4))
    with pytest.raises(ShapeError, match=r"number of labels .* \(2, 3, 4\)"):
        loss(labels=(2, 5, 3, 4))
