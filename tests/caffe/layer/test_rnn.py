"""RNN."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError

T, N, D, H = 3, 2, 4, 5
UNIFORM = '{ type: "uniform" min: -1 max: 1 }'
ONES = np.ones((T, N))


def rnn(extra="", *shapes, **options):
    text = f"num_output: {H} weight_filler {UNIFORM} bias_filler {UNIFORM} {extra}"
    return Rig(f'type: "RNN" recurrent_param {{ {text} }}', (T, N, D), (T, N), *shapes, **options)


def reference(rig, x, cont, h, static=None):
    """The recurrence in float64; (T, N, H), h."""
    w_x, b, *w_s, w_h, w_o, b_o = (p.data.astype(np.float64) for p in rig.layer.blobs)
    outputs = []
    for t in range(len(x)):
        a = x[t] @ w_x.T + b + (cont[t][:, None] * h) @ w_h.T
        h = np.tanh(a if static is None else a + static @ w_s[0].T)
        outputs.append(np.tanh(h @ w_o.T + b_o))
    return np.array(outputs), h


def test_state_goes_from_pass_to_pass(device):
    rig = rnn()
    h = np.zeros((N, H))
    cont = ONES.copy()
    cont[1, 0] = 0
    for seed in range(3):
        x = random(T, N, D, seed=seed)
        expected, h = reference(rig, x, cont, h)
        close(rig.forward(x, cont), expected)


def test_exposed_state_and_static_input(device):
    rig = rnn("expose_hidden: true", (N, 2), (1, N, H), tops=2)
    assert [b.dims for b in rig.layer.blobs] == [(H, D), (H,), (H, 2), (H, H), (H, H), (H,)]
    x, static, h = random(T, N, D), random(N, 2), random(1, N, H)
    expected = reference(rig, x, ONES, h[0], static)
    for _ in range(2):
        close(rig.forward(x, ONES, static, h), expected[0])
        close(rig.top[1].data[0], expected[1])


def test_gradient():
    rig = rnn("expose_hidden: true", (N, 2), (1, N, H), tops=2)
    check_gradient(
        rig, random(T, N, D), ONES, random(N, 2), random(1, N, H), bottoms=[0, 2], tops=1
    )


def test_what_does_not_fit_is_refused():
    with pytest.raises(LayerError, match="takes 3 to 4 bottom"):
        rnn("expose_hidden: true", tops=2)
    with pytest.raises(ShapeError, match="initial state 0"):
        rnn("expose_hidden: true", (1, N + 1, H), tops=2)
    rig = rnn()
    assert np.isfinite(rig.backward(1.0)[0]).all()  # before any forward pass
    with pytest.raises(LayerError, match="sequence indicators"):
        rig.backward(1.0, bottoms=[True, True])
