"""score_bias.py: the constants are those that mean IU gains by."""

import numpy as np

import score
from benchmarks import score_bias
from caffe.proto import caffe_pb2


def pictures():
    """Truth and scores of three classes; the second is called the first wherever it is unsure."""
    random = np.random.RandomState(0)
    truth = np.repeat(np.array([0, 1, 2]), (6000, 1000, 3000))
    scores = random.randn(3, truth.size).astype(np.float32)
    scores[truth, np.arange(truth.size)] += 4
    scores[1] -= 3
    return truth, scores


def test_a_class_that_is_missed_gets_a_bonus():
    truth, scores = pictures()
    bias = score_bias.fitted(truth, scores, 2.0)
    plain, found = (
        score.metrics(score_bias.histogram(truth, scores, each)).mean_iu
        for each in (np.zeros(3, np.float32), bias)
    )
    assert bias[1] - (bias[0] + bias[2]) / 2 >= 1
    assert found > plain + 0.05
    assert np.abs(bias).max() <= 2


def test_the_bound_holds():
    truth, scores = pictures()
    scores[1] -= 10
    assert np.abs(score_bias.fitted(truth, scores, 1.0)).max() <= 1


def test_no_constant_where_nothing_is_gained():
    truth = np.array([0, 1, 2, 1])
    scores = np.eye(3, dtype=np.float32)[:, truth]
    assert not score_bias.fitted(truth, scores, 2.0).any()


def test_only_the_bias_changes(tmp_path):
    before = caffe_pb2.NetParameter(name="net")
    for name in ("conv", "score_fr"):
        layer = before.layer.add(name=name, type="Convolution")
        for values, shape in (([1, 2, 3, 4], (2, 2, 1, 1)), ([5, 6], (2,))):
            layer.blobs.add(data=values).shape.dim.extend(shape)
    source, target = (str(tmp_path / name) for name in ("a.caffemodel", "b.caffemodel"))
    with open(source, "wb") as f:
        f.write(before.SerializeToString())
    score_bias.write(source, target, np.array([-1.5, 0.25], np.float32))
    with open(target, "rb") as f:
        after = caffe_pb2.NetParameter.FromString(f.read())
    assert list(after.layer[1].blobs[1].data) == [3.5, 6.25]
    del before.layer[1].blobs[1].data[:]
    before.layer[1].blobs[1].data.extend([3.5, 6.25])
    assert after == before
