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


def weighted(scores, labels, weights, ignore):
    """SegNet's loss, position by position, and its gradient."""
    shifted = scores - scores.max(1, keepdims=True)
    prob = np.exp(shifted) / np.exp(shifted).sum(1, keepdims=True)
    diff, loss, count = np.zeros_like(scores), 0.0, 0
    for n, h, w in np.ndindex(labels.shape):
        label = int(labels[n, h, w])
        if label == ignore:
            continue
        loss -= np.log(prob[n, label, h, w]) * weights[label]
        diff[n, :, h, w] = prob[n, :, h, w] * weights[label]
        diff[n, label, h, w] -= weights[label]
        count += 1
    return loss / count, diff / count


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("ignore", [None, 3])
def test_segnets_weights_of_classes(device, given, ignore):
    scores = random(2, 4, 3, 5)
    labels = np.random.default_rng(1).integers(0, 4, (2, 3, 5)).astype(np.float32)
    if given:
        weights = [0.2595, 1, 4.64, 0.5]
    else:  # an old SegNet counted the labels of each batch
        weights = [1 / max(1, n) for n in np.bincount(labels.ravel().astype(int), minlength=4)]
    text = "weight_by_label_freqs: true " + "".join(
        f"class_weighting: {w} " for w in weights if given
    )
    text += "" if ignore is None else f"ignore_label: {ignore}"
    rig = Rig(f'type: "SoftmaxWithLoss" loss_param {{ {text} }}', scores.shape, labels.shape)
    loss, diff = weighted(scores, labels, weights, ignore)
    close(rig.forward(scores, labels), np.float32(loss))
    close(rig.backward(1.0)[0], diff)


def test_class_weights_do_nothing_unless_they_are_asked_for():
    scores, labels = random(2, 3), np.array([0, 2], np.float32)
    text = "loss_param { class_weighting: 7 class_weighting: 8 class_weighting: 9 }"
    plain = Rig('type: "SoftmaxWithLoss"', (2, 3), (2,)).forward(scores, labels)
    rig = Rig(f'type: "SoftmaxWithLoss" {text.replace("class_weighting: 9", "")}', (2, 3), (2,))
    assert rig.forward(scores, labels) == plain
    text = text.replace("{", "{ weight_by_label_freqs: true").replace("class_weighting: 9", "")
    with pytest.raises(ShapeError, match="class_weighting for each of 3 classes, got 2"):
        Rig(f'type: "SoftmaxWithLoss" {text}', (2, 3), (2,))
