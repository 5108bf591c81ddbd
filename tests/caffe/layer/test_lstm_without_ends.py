"""Lstm: against the formulas step by step, and against LSTM where no sequence ends."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError

FILL = "weight_filler { type: 'uniform' min: -0.7 max: 0.7 } bias_filler { type: 'uniform' }"


def lstm(words, *shape):
    return Rig(f'type: "Lstm" lstm_param {{ num_output: 4 {words} {FILL} }}', shape)


def by_steps(x, inner, across, bias):
    h = c = np.zeros((x.shape[1], across.shape[1]))
    outputs = []
    for step in x:
        i, f, o, g = np.split(step @ inner.T + h @ across.T + bias, 4, axis=1)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs)


def test_lstm(device):
    x = random(5, 2, 3)
    rig = lstm("", *x.shape)
    blobs = [blob.data.copy() for blob in rig.layer.blobs]
    assert [blob.shape for blob in blobs] == [(16, 3), (16, 4), (16,)]
    close(rig.forward(x), by_steps(x, *blobs))
    if device == "cpu":
        check_gradient(rig, x)
    flat = lstm("batch_size: 2", 10, 3)
    for blob, values in zip(flat.layer.blobs, blobs):
        blob.data[...] = values
    close(flat.forward(x.reshape(10, 3)), by_steps(x, *blobs).reshape(10, 4))
    assert flat.reshape((4, 3)) == [(4, 4)]


def test_lstm_is_bvlcs_where_no_sequence_ends():
    x = random(6, 3, 5)
    rig = lstm("", *x.shape)
    other = Rig('type: "LSTM" recurrent_param { num_output: 4 }', x.shape, (6, 3))
    inner, across, bias = (blob.data for blob in rig.layer.blobs)
    for blob, values in zip(other.layer.blobs, (inner, bias, across)):
        blob.data[...] = values
    cont = np.ones((6, 3))
    cont[0] = 0
    close(rig.forward(x), other.forward(x, cont))


def test_diffs_of_the_gates_are_cut():
    x = random(1, 2, 3)
    rig = lstm("clipping_threshold: 0.01", *x.shape)
    rig.forward(x)
    rig.backward(np.full((1, 2, 4), 100.0))
    bias = rig.layer.blobs[2].diff
    assert np.abs(bias).max() == pytest.approx(0.02)  # two sequences at their limit
    plain = lstm("", *x.shape)
    plain.forward(x)
    plain.backward(np.full((1, 2, 4), 100.0))
    assert np.abs(plain.layer.blobs[2].diff).max() > 1


def test_what_is_refused():
    with pytest.raises(LayerError, match="must be positive"):
        lstm("batch_size: 0", 4, 3)
    with pytest.raises(ShapeError, match="T x N x I or"):
        lstm("", 4, 3, 1, 1)
    with pytest.raises(ShapeError, match="5 rows are no 2 sequences"):
        lstm("batch_size: 2", 5, 3)
    with pytest.raises(ShapeError, match="weights are for 3 numbers"):
        lstm("", 4, 2, 3).reshape((4, 2, 5))
    with pytest.raises(LayerError, match="exactly 1 bottom"):
        Rig('type: "Lstm" lstm_param { num_output: 4 }', (4, 2, 3), (4, 2))
