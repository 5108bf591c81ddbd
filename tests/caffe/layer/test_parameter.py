"""Parameter, in nets: it lives by the memory it shares."""

import numpy as np
from harness import Rig, random

import caffe

NET = """
force_backward: true
layer { name: "w" type: "Parameter" top: "p" parameter_param { shape { dim: 2 dim: 3 } } }
layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "y" type: "Eltwise" bottom: "x" bottom: "p" top: "y"
        eltwise_param { operation: PROD } }
"""


def make(tmp_path, text: str = NET):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return caffe.Net(str(path), caffe.TRAIN)


def test_zero_until_somebody_sets_it():
    rig = Rig('type: "Parameter" parameter_param { shape { dim: 2 dim: 3 } }')
    assert rig.forward().shape == (2, 3) and not rig.top[0].data.any()
    assert Rig('type: "Parameter"').top[0].dims == ()  # no shape: one number


def test_the_top_is_the_parameter(device, tmp_path):
    net = make(tmp_path)
    values, x, g = random(2, 3), random(2, 3, seed=1), random(2, 3, seed=2)
    net.params["w"][0].data[...] = values
    assert not net.blobs["p"].data.any()  # shared from the first forward pass on
    net.blobs["x"].data[...] = x
    net.forward()
    np.testing.assert_array_equal(net.blobs["p"].data, values)
    np.testing.assert_array_equal(net.blobs["y"].data, x * values)
    net.blobs["p"].data[...] = 5
    assert (net.params["w"][0].data == 5).all()
    for _ in range(2):  # overwritten, not added up
        net.blobs["y"].diff[...] = g
        net.backward()
        np.testing.assert_array_equal(net.params["w"][0].diff, g * x)


def test_clearing_the_gradients_clears_it(tmp_path):
    net = make(tmp_path)
    net.blobs["x"].data[...] = 1
    net.forward()
    net.blobs["y"].diff[...] = 1
    net.backward()
    assert net.params["w"][0].diff.all()
    net.clear_param_diffs()
    assert not net.params["w"][0].diff.any() and not net.blobs["p"].diff.any()


def test_a_solver_learns_it(tmp_path):
    (tmp_path / "net.prototxt").write_text("""
layer { name: "w" type: "Parameter" top: "p" parameter_param { shape { dim: 4 } } }
layer { name: "t" type: "DummyData" top: "t"
        dummy_data_param { shape { dim: 4 } data_filler { value: 3 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "p" bottom: "t" top: "loss" }
""")
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 2 lr_policy: "fixed" type: "SGD" max_iter: 9'
    )
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    solver.step(9)  # each step halves the distance
    np.testing.assert_allclose(solver.net.params["w"][0].data, 3 - 3 / 2**9, rtol=1e-5)


def test_the_values_come_back_from_a_caffemodel(tmp_path):
    net = make(tmp_path)
    net.params["w"][0].data[...] = random(2, 3)
    net.save(str(tmp_path / "w.caffemodel"))
    other = make(tmp_path)
    other.copy_from(str(tmp_path / "w.caffemodel"))
    other.forward()
    np.testing.assert_array_equal(other.blobs["p"].data, random(2, 3))
