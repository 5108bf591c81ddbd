"""The nets of a solver: files, states, order, weights that they share."""

from pathlib import Path

import numpy as np
import pytest
from solver_files import SGD, golden, make

from caffe import solver as solvers

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_test_nets_share_weights_from_the_first_test_on():
    solver = make(SGD + "test_iter: 1 test_interval: 1 test_initialization: false")
    (test_net,) = solver.test_nets
    mine = solver.net.params["ip1"][0]
    assert np.any(test_net.params["ip1"][0].data != mine.data)
    solver.step(2)
    mine.data[...] = 3
    assert np.all(test_net.params["ip1"][0].data == 3)


def test_share_weights():
    solver, other = make(SGD), make(SGD.replace("seed: 1", "seed: 2"))
    solver.share_weights(other.net)
    solver.net.params["ip2"][0].data[...] = 7
    assert np.all(other.net.params["ip2"][0].data == 7)


def test_weights_are_loaded_into_train_and_test_nets():
    make(SGD).net.save("w.caffemodel")
    source = make(SGD)
    source.net.copy_from("w.caffemodel")
    solver = make('weights: "w.caffemodel" test_iter: 1 test_interval: 9 random_seed: 77 '
                  'base_lr: 1 lr_policy: "fixed"')  # fmt: skip
    for net in (solver.net, *solver.test_nets):
        np.testing.assert_array_equal(net.params["ip1"][0].data, source.net.params["ip1"][0].data)


def test_net_files_states_and_the_order_of_test_nets():
    Path("net.prototxt").write_text(golden.NET)
    Path("other.prototxt").write_text(golden.NET.replace('"golden"', '"other"'))
    Path("s.prototxt").write_text(
        'net: "net.prototxt" test_net: "other.prototxt" test_iter: 1 test_iter: 1 test_iter: 1 '
        'test_interval: 5 base_lr: 1 lr_policy: "fixed"'
    )
    solver = solvers.SGDSolver("s.prototxt")
    assert [net.name for net in solver.test_nets] == ["other", "golden", "golden"]
    assert "part" in solver.test_nets[0].layer_dict and "part" not in solver.net.layer_dict
