"""What LSTM and RNN share: shapes, settings, learning."""

import numpy as np
import pytest
from harness import Rig, random
from recurring import ONES, D, H, N, T, lstm

import caffe
from caffe.errors import LayerError, ShapeError


@pytest.mark.parametrize(
    "shapes, says",
    [
        (((T + 1, N, D), (T + 1, N)), "number of time steps is fixed"),
        (((T, N, D + 1), (T, N)), "are for 4 inputs a step"),
        (((T, N, D), (T, N + 1)), r"expected cont of \(3, 2\)"),
        (((T, N, D), (T, N, 1)), "expected cont"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes, says):
    rig = lstm()
    with pytest.raises(ShapeError, match=says):
        rig.reshape(*shapes)
    rig.reshape((T, N, D), (T, N))
    assert rig.forward(random(T, N, D), ONES).any()


def test_bad_settings_are_refused():
    with pytest.raises(LayerError, match="num_output must be positive"):
        Rig('type: "LSTM"', (T, N, D), (T, N))
    with pytest.raises(ShapeError, match="3 axes or more"):
        Rig('type: "LSTM" recurrent_param { num_output: 2 }', (T, N), (T, N))
    with pytest.raises(LayerError, match="takes 4 to 5 bottom"):
        lstm("expose_hidden: true", tops=3)
    with pytest.raises(LayerError, match="takes exactly 3 top"):
        lstm("expose_hidden: true", (1, N, H), (1, N, H))
    with pytest.raises(ShapeError, match="initial state 1"):
        lstm("expose_hidden: true", (1, N, H), (1, N, H + 1), tops=3)
    with pytest.raises(ShapeError, match="x_static of 2 streams"):
        lstm("", (N + 1, 2))


NET = """
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 6 dim: 4 dim: 3 }} }} }}
layer {{ name: "cont" type: "Input" top: "cont" input_param {{ shape {{ dim: 6 dim: 4 }} }} }}
layer {{ name: "label" type: "Input" top: "label" input_param {{ shape {{ dim: 6 dim: 4 }} }} }}
layer {{ name: "recurrent" type: "{kind}" bottom: "x" bottom: "cont" top: "y"
  recurrent_param {{ num_output: 8 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "score" type: "InnerProduct" bottom: "y" top: "score"
  inner_product_param {{ num_output: 3 axis: 2 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  softmax_param {{ axis: 2 }} loss_param {{ ignore_label: 255 }} }}
"""


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_learns_which_symbol_came_before(tmp_path, kind):
    (tmp_path / "net.prototxt").write_text(NET.format(kind=kind))
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 0.5 momentum: 0.9 lr_policy: "fixed" max_iter: 99'
    )
    caffe.set_random_seed(1)
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    blobs = solver.net.blobs
    symbols = np.random.default_rng(0).integers(0, 3, (6, 4))
    blobs["x"].data[...] = np.eye(3)[symbols]
    blobs["cont"].data[...] = np.arange(6)[:, None] > 0
    blobs["label"].data[...] = np.vstack([np.full((1, 4), 255), symbols[:-1]])
    solver.step(1)
    first = float(blobs["loss"].data)
    solver.step(59)
    assert blobs["loss"].data < 0.1 * first

    weights = str(tmp_path / "w.caffemodel")
    solver.net.save(weights)
    other = caffe.Net(str(tmp_path / "net.prototxt"), weights, caffe.TEST)
    for name in ("x", "cont", "label"):
        other.blobs[name].data[...] = blobs[name].data
    other.forward()
    solver.net.forward()
    assert np.array_equal(other.blobs["score"].data, blobs["score"].data)


def test_a_wild_number_of_time_steps_is_an_error_at_once():
    with pytest.raises(ShapeError, match="at most 1048576 time steps"):
        lstm(steps=(1 << 20) + 1)
