"""Snapshots: names, order of writing, and what a restore refuses; exact resuming: test_solver."""

import os

import numpy as np
import pytest

import caffe
from caffe.errors import SolverError, WeightsError
from caffe.solver import snapshot

NET = """
layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } data_filler { type: "uniform" } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)

    def make(text="", cls=caffe.SGDSolver, prefix="snap"):
        (tmp_path / "solver.prototxt").write_text(
            'net: "net.prototxt" base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" max_iter: 9 '
            f'random_seed: 1 snapshot_prefix: "{prefix}" {text}'
        )
        return cls("solver.prototxt")

    return make


@pytest.mark.parametrize(("form", "end"), [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_files_are_named_after_prefix_and_iteration(make, form, end):
    solver = make(f"snapshot_format: {form}")
    solver.step(2)
    solver.snapshot()
    files = {name for name in os.listdir() if name.startswith("snap")}
    assert files == {f"snap_iter_2.caffemodel{end}", f"snap_iter_2.solverstate{end}"}
    other = make()
    other.restore(f"snap_iter_2.solverstate{end}")
    assert other.iter == 2
    for mine, its in zip(solver.history_arrays(), other.history_arrays()):
        assert mine.any()
        np.testing.assert_array_equal(mine, its)
    np.testing.assert_array_equal(solver.net.params["ip"][0].data, other.net.params["ip"][0].data)


def test_the_state_is_written_after_the_weights_that_it_names(make, monkeypatch):
    """A run that is killed in between leaves no state without its weights."""
    written = []
    monkeypatch.setattr(snapshot.weights, "write_net", lambda path, *a: written.append(path))
    monkeypatch.setattr(
        snapshot.solver_state, "write_binary", lambda path, n, model, *a: written.append(model)
    )
    make().snapshot()
    assert written == ["snap_iter_0.caffemodel"] * 2


def test_a_prefix_that_cannot_be_written_is_refused_at_the_start(make):
    with pytest.raises(SolverError, match="Cannot write to snapshot prefix 'no/such/snap'"):
        make("snapshot: 5", prefix="no/such/snap")
    snapshot.check_writable("snap")
    assert not [name for name in os.listdir() if name.startswith("snap")]


def test_weights_are_no_state(make):
    with pytest.raises(WeightsError, match="'snap_iter_3.solverstate.h5'"):
        snapshot.restore(make(), "snap_iter_3.caffemodel.h5")


def test_a_state_of_another_net_or_rule_changes_nothing(make, tmp_path):
    solver = make()
    solver.step(1)
    solver.snapshot()
    adam = make(cls=caffe.AdamSolver)
    with pytest.raises(WeightsError, match="expected 4 for this net and solver type"):
        adam.restore("snap_iter_1.solverstate")
    (tmp_path / "net.prototxt").write_text(
        NET.replace("num_output: 2", "num_output: 3").replace("dim: 4 dim: 2", "dim: 4 dim: 3")
    )
    wider = make()
    with pytest.raises(WeightsError, match="history blob 0 has the shape"):
        wider.restore("snap_iter_1.solverstate")
    assert adam.iter == wider.iter == 0


def test_a_state_whose_weights_are_gone_is_refused(make):
    solver = make()
    solver.snapshot()
    os.remove("snap_iter_0.caffemodel")
    with pytest.raises(WeightsError, match="which do not exist"):
        solver.restore("snap_iter_0.solverstate")
