"""InfogainLoss."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

import caffe.io
from caffe.errors import DataError, LayerError, ShapeError

K = 3
labels = np.array([1, 0, 2, 1], np.float32)
matrix = random(K, K, seed=9, low=0, high=1)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "h.binaryproto"
    path.write_bytes(caffe.io.array_to_blobproto(matrix[None, None]).SerializeToString())
    return f'type: "InfogainLoss" infogain_loss_param {{ source: "{path}" }}'


def expected(x):
    e = np.exp(x.astype(np.float64))
    return -(matrix[labels.astype(int)] * np.log(e / e.sum(1, keepdims=True))).sum() / len(labels)


def test_matrix_from_a_file(device, source):
    rig = Rig(source, (4, K), (4,))
    x = random(4, K)
    close(rig.forward(x, labels), expected(x))
    if device == "cpu":
        check_gradient(rig, x, labels)


def test_matrix_from_a_bottom():
    rig = Rig('type: "InfogainLoss"', (4, K), (4,), (K, K))
    x = random(4, K)
    close(rig.forward(x, labels, matrix), expected(x))
    rig.backward(1.0, bottoms=[True, False, False])
    assert rig.bottom[0].diff.any()
    with pytest.raises(LayerError, match="backpropagate to the infogain matrix"):
        rig.backward(1.0, bottoms=[True, False, True])


def test_second_top_is_the_softmax(source):
    rig = Rig(source, (4, K), (4,), tops=2)
    rig.forward(random(4, K), labels)
    close(rig.top[1].data.sum(1), np.ones(4))


def test_labels_are_checked(source):
    rig = Rig(source, (4, K), (4,))
    with pytest.raises(DataError, match="out of range.*ignore_label"):
        rig.forward(random(4, K), labels + 1)
    ignoring = Rig(source + " loss_param { ignore_label: 3 }", (4, K), (4,))
    assert ignoring.forward(random(4, K), labels + 1) > 0


@pytest.mark.parametrize("contents, says", [(None, "No such file"), (b"\x2a\x40\x00", "BlobProto")])
def test_a_bad_file_is_refused(tmp_path, contents, says):
    path = tmp_path / "h"
    if contents:
        path.write_bytes(contents)
    with pytest.raises(DataError, match=f"cannot read the infogain matrix {path}: .*{says}"):
        Rig(f'type: "InfogainLoss" infogain_loss_param {{ source: "{path}" }}', (4, K), (4,))


def test_bad_settings_are_refused(source):
    with pytest.raises(LayerError, match="needs the infogain matrix"):
        Rig('type: "InfogainLoss"', (4, K), (4,))
    with pytest.raises(LayerError, match="normalize is deprecated"):
        Rig(source + " loss_param { normalize: true }", (4, K), (4,))
    with pytest.raises(ShapeError, match="4 x 4 values"):
        Rig(source, (4, 4), (4,))
    with pytest.raises(ShapeError, match="number of labels"):
        Rig(source, (4, K), (4, 2))
