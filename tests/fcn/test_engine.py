"""Scores, losses and checks by our engine's means, and by pycaffe's on BVLC Caffe: one result."""

import numpy as np
import pytest

import caffe
from fcn import engine

NET = """
layer { name: "score" type: "Input" top: "score"
  input_param { shape { dim: 2 dim: 5 dim: 3 dim: 4 } } }
layer { name: "top" type: "Power" bottom: "score" top: "top" power_param { scale: 2 } }
"""


class Pycaffe:
    """An object of our engine with the names alone that pycaffe has."""

    def __init__(self, real, *names):
        self._names, self._real = names, real

    def __getattr__(self, name):
        if name not in self._names:
            raise AttributeError(name)
        return getattr(self._real, name)


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return caffe.Net(str(path), caffe.TEST)


@pytest.fixture
def scores():
    """With equal maxima and a NaN."""
    values = np.random.RandomState(0).randint(-3, 3, (2, 5, 3, 4)).astype(np.float32)
    values[1, 2, 0, 0] = np.nan
    return values


def test_the_class_is_the_first_of_the_highest(net, scores):
    plain = Pycaffe(net, "blobs", "forward", "_layer_names")
    for one in (net, plain):
        net.blobs["score"].data[...] = scores
        engine.forward(one)
        found = engine.argmax(one, "top")
        assert found.shape == (2, 3, 4)
        assert (found == (2 * scores).argmax(1)).all()


def test_finite(net, scores):
    blob = net.blobs["score"]
    for one in (blob, Pycaffe(blob, "data")):
        blob.data[...] = scores
        assert not engine.all_finite(one)
        blob.data[...] = 1
        assert engine.all_finite(one)
        blob.data[0, 0, 0, 0] = np.inf
        assert not engine.all_finite(one)


def test_deferred_values_are_those_of_that_moment(net):
    blob = net.blobs["score"]
    for one in (blob, Pycaffe(blob, "data")):
        blob.data[...] = 3
        values = engine.deferred(one)
        blob.data[...] = 4
        assert (values() == 3).all()
        assert (values() == 3).all()
