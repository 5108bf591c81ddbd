"""LSTM and LSTMUnit."""

import numpy as np
import pytest
from harness import TEST, Rig, check_gradient, close, random
from recurring import ONES, D, H, N, T, lstm

from caffe.errors import LayerError, ShapeError


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(rig, x, cont, h, c, static=None):
    """The recurrence in float64; (T, N, H), h, c."""
    w_x, b, *w_s, w_h = (p.data.astype(np.float64) for p in rig.layer.blobs)
    outputs = []
    for t in range(len(x)):
        a = x[t] @ w_x.T + b + (cont[t][:, None] * h) @ w_h.T
        if static is not None:
            a = a + static @ w_s[0].T
        i, f, o = (sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
        c = cont[t][:, None] * f * c + i * np.tanh(a[:, 3 * H :])
        h = o * np.tanh(c)
        outputs.append(h)
    return np.array(outputs), h, c


def test_state_goes_from_pass_to_pass(device):
    rig = lstm()
    h = c = np.zeros((N, H))
    cont = ONES.copy()
    cont[1, 0] = 0
    for seed in range(3):
        x = random(T, N, D, seed=seed)
        expected, h, c = reference(rig, x, cont, h, c)
        close(rig.forward(x, cont), expected)


@pytest.mark.parametrize("phase", [0, TEST])
def test_exposed_state_and_static_input(device, phase):
    rig = lstm("expose_hidden: true", (N, 2), (1, N, H), (1, N, H), tops=3, phase=phase)
    assert [b.dims for b in rig.layer.blobs] == [(4 * H, D), (4 * H,), (4 * H, 2), (4 * H, H)]
    x, static, h, c = random(T, N, D), random(N, 2), random(1, N, H), random(1, N, H, seed=1)
    expected = reference(rig, x, ONES, h[0], c[0], static)
    for _ in range(2):  # nothing is kept: the bottoms say where to start
        close(rig.forward(x, ONES, static, h, c), expected[0])
        close(rig.top[1].data[0], expected[1])
        close(rig.top[2].data[0], expected[2])


def test_gradient():
    rig = lstm("expose_hidden: true", (N, 2), (1, N, H), (1, N, H), tops=3)
    arrays = random(N, 2), random(1, N, H), random(1, N, H, seed=1)
    # Only through the sequence, and to what went in with it: the states have no part in it.
    check_gradient(rig, random(T, N, D), ONES, *arrays, bottoms=[0, 2], tops=1)


def test_all_gradients_are_computed_whoever_asked():
    rig = lstm()
    rig.forward(random(T, N, D), ONES)
    rig.backward(1.0, bottoms=[False, False], params=[False] * 3)
    assert rig.bottom[0].diff.any() and all(b.diff.any() for b in rig.layer.blobs)
    with pytest.raises(LayerError, match="sequence indicators"):
        rig.backward(1.0, bottoms=[True, True])


def test_backward_before_forward_is_no_crash():
    rig = lstm()
    rig.bottom[0].data[...] = random(T, N, D)
    assert np.isfinite(rig.backward(1.0)[0]).all()


def test_the_top_of_one_time_step_is_the_state(device):
    rig = lstm(steps=1)
    x = random(1, N, D)
    rig.forward(x, ONES[:1])
    edited = random(N, H, seed=3)
    c = reference(rig, x, ONES, *np.zeros((2, N, H)))[2]
    rig.top[0].data[...] = edited
    close(rig.forward(x, ONES[:1]), reference(rig, x, ONES, edited, c)[0])


def test_the_state_of_streams_that_stay_is_kept(device):
    rig = lstm()
    x = random(T, N, D)
    _, h, c = reference(rig, x, ONES, *np.zeros((2, N, H)))
    rig.forward(x, ONES)
    assert rig.reshape((T, 1, D), (T, 1)) == [(T, 1, H)]
    part, cont = x[:, :1], ONES[:, :1]
    close(rig.forward(part, cont), reference(rig, part, cont, h[:1], c[:1])[0])
    rig.reshape((T, 3, D), (T, 3))  # more than ever: from zero
    x, cont = random(T, 3, D), np.ones((T, 3))
    close(rig.forward(x, cont), reference(rig, x, cont, *np.zeros((2, 3, H)))[0])


def test_unit_forward_and_gradient(device):
    rig = Rig('type: "LSTMUnit"', (1, N, H), (1, N, 4 * H), (1, N), tops=2)
    c, gates, cont = random(1, N, H), random(1, N, 4 * H), np.array([[1, 0]], np.float32)
    rig.forward(c, gates, cont)
    i, f, o = (sigmoid(gates[0, :, k * H : (k + 1) * H]) for k in range(3))
    cell = cont[0][:, None] * f * c[0] + i * np.tanh(gates[0, :, 3 * H :])
    close(rig.top[0].data[0], cell)
    close(rig.top[1].data[0], o * np.tanh(cell))
    if device == "cpu":
        check_gradient(rig, c, gates, cont)


def test_unit_refuses_what_does_not_fit():
    for shapes in [
        ((2, N, H), (2, N, 4 * H), (2, N)),
        ((1, N, H), (1, N, 3 * H), (1, N)),
        ((1, N, H), (1, N, 4 * H), (1, N, 1)),
    ]:
        with pytest.raises(ShapeError, match="expected .* received"):
            Rig('type: "LSTMUnit"', *shapes, tops=2)
    rig = Rig('type: "LSTMUnit"', (1, N, H), (1, N, 4 * H), (1, N), tops=2)
    with pytest.raises(LayerError, match="sequence indicators"):
        rig.backward(1.0, 1.0, bottoms=[True, True, True])
