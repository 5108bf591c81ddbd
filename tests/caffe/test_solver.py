"""Solvers against BVLC Caffe's own runs (golden/solver.py makes them), and what it cannot show."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from solver_files import GOLDEN, SGD, assert_same, golden, make, params

from caffe import device as devices
from caffe import glog, rng
from caffe import solver as solvers
from caffe.errors import SolverError, WeightsError
from caffe.solver import fused_sgd
from caffe.solver.actions import Action

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def logging(monkeypatch):
    monkeypatch.setattr(glog._state, "level", 0)


def numbers(line):
    return [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", line)]


def assert_lines_agree(got, expected):
    """Equal text; numbers in it may differ by rounding."""
    for a, b in zip(got, expected):
        shape = [re.sub(r"-?\d+\.?\d*(?:e[+-]?\d+)?", "#", line) for line in (a, b)]
        assert shape[0] == shape[1], (a, b)
        np.testing.assert_allclose(numbers(a), numbers(b), rtol=2e-4, atol=1e-5, err_msg=b)
    assert len(got) == len(expected), (got[len(expected) :], expected[len(got) :])


@pytest.mark.parametrize("place", ["cpu", "mirror", "plain"])
@pytest.mark.parametrize("name", golden.CASES)
def test_training_is_that_of_bvlc_caffe(name, place, monkeypatch, capfd, logging):
    if "hdf5" in name:
        pytest.importorskip("h5py")
    if place == "mirror":
        monkeypatch.setattr(devices._mode, "device", devices.MIRROR)
    if place == "plain":
        monkeypatch.setattr(fused_sgd, "available", lambda device: False)
    result = golden.run(name, solvers.get_solver, rng.set_random_seed)
    with np.load(GOLDEN / "solver.npz") as file:
        assert str(file["engine"]).startswith("BVLC Caffe")
        keys = [key for key in file.files if key.startswith(name + "/")]
        assert len(keys) == len(result) + 1
        for key, value in result.items():
            expected = file[f"{name}/{key}"]
            limit = 1e-6 + 1e-5 * np.abs(expected).max()
            np.testing.assert_allclose(value, expected, rtol=0, atol=limit, err_msg=key)
        expected = [str(line) for line in file[f"{name}/log"]]
    assert_lines_agree(golden.log_lines(capfd.readouterr().err), expected)


@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_resuming_with_the_random_state_is_bit_exact(form, rule):
    if form == "HDF5":
        pytest.importorskip("h5py")
    text = SGD + f'type: "{rule}" snapshot_prefix: "s" snapshot_format: {form}'
    solver = make(text)
    solver.step(3)
    solver.snapshot()
    state = rng.get_random_state()
    solver.step(4)
    resumed = make(text)
    resumed.restore("s_iter_3.solverstate" + (".h5" if form == "HDF5" else ""))
    rng.set_random_state(state)
    resumed.step(4)
    assert resumed.iter == 7
    assert_same(params(resumed), params(solver))


def test_restore_of_another_type_or_net_changes_nothing():
    sgd = make(SGD + 'snapshot_prefix: "s"')
    sgd.step(2)
    sgd.snapshot()
    adam = make(SGD + 'type: "Adam"')
    before = params(adam)
    with pytest.raises(
        WeightsError, match="Incorrect length of history blobs: expected 12 .*has 6"
    ):
        adam.restore("s_iter_2.solverstate")
    other = make(SGD, net=golden.NET.replace("num_output: 5", "num_output: 4"))
    with pytest.raises(WeightsError, match="history blob 0 has the shape 5 6 .30., .* 4 6"):
        other.restore("s_iter_2.solverstate")
    assert adam.iter == other.iter == 0
    assert_same(params(adam), before)


def test_restore_without_the_weights_names_them():
    solver = make(SGD + 'snapshot_prefix: "s"')
    solver.snapshot()
    os.remove("s_iter_0.caffemodel")
    with pytest.raises(WeightsError, match="'s_iter_0.caffemodel', which do not exist.*directory"):
        solver.restore("s_iter_0.solverstate")


@pytest.mark.parametrize("form, end", [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_weights_in_the_place_of_a_state_are_told_apart(form, end):
    solver = make(SGD + f'snapshot_prefix: "s" snapshot_format: {form}')
    solver.step(1)
    solver.snapshot()
    with pytest.raises(WeightsError, match=rf"not a solverstate.*'s_iter_1.solverstate{end}'"):
        solver.restore(f"s_iter_1.caffemodel{end}")
    os.rename(f"s_iter_1.caffemodel{end}", f"renamed{end}")
    with pytest.raises(WeightsError, match="renamed"):
        solver.restore(f"renamed{end}")
    assert solver.iter == 1


def requests(*answers):
    """An action function that gives these answers, then none."""
    left = list(answers)
    return lambda: left.pop(0) if left else Action.NONE


def test_a_stop_ends_step_and_solve_after_the_iteration(capfd, logging):
    solver = make(SGD + 'max_iter: 9 snapshot_prefix: "s" test_iter: 1 test_interval: 100 '
                  'test_initialization: false')  # fmt: skip
    solver.set_action_function(requests(Action.NONE, Action.SNAPSHOT, Action.STOP))
    solver.solve()
    assert solver.iter == 3
    assert sorted(map(str, Path().glob("*.solverstate"))) == [
        "s_iter_2.solverstate", "s_iter_3.solverstate"]  # fmt: skip
    assert golden.log_lines(capfd.readouterr().err)[-1].endswith("Optimization stopped early.")
    solver.set_action_function(requests())
    solver.solve()
    assert solver.iter == 9


def test_a_stop_during_a_test_ends_it_and_all_tests_after(capfd, logging):
    solver = make(SGD + "test_iter: 3 test_iter: 3 test_interval: 1 max_iter: 5 "
                  "snapshot_after_train: false")  # fmt: skip
    solver.set_action_function(requests(Action.NONE, Action.STOP))
    solver.solve()
    lines = "".join(golden.log_lines(capfd.readouterr().err))
    assert solver.iter == 0
    assert "Test interrupted." in lines and "Testing net (#1)" not in lines


def test_debug_info_of_the_train_net_is_for_display_iterations(capfd, logging):
    solver = make(SGD + "debug_info: true display: 2")
    solver.step(2)
    err = capfd.readouterr().err
    assert err.count("[Backward] All net params") == 1


def test_base_lr_can_be_changed_at_any_time():
    solver = make(SGD)
    assert solver.lr == pytest.approx(0.1)
    solver.param.base_lr = 0.02
    assert solver.lr == pytest.approx(0.02)


def test_reading_lr_may_advance_a_multistep():
    solver = make(
        'base_lr: 1 lr_policy: "multistep" gamma: 0.5 stepvalue: 0 stepvalue: 0 stepvalue: 5'
    )
    assert [solver.lr for _ in range(4)] == [0.5, 0.25, 0.25, 0.25]


def test_callbacks_run_before_the_passes_and_before_the_update():
    solver = make(SGD + "iter_size: 2")
    seen = []
    weight = solver.net.params["ip1"][0]
    solver.add_callback(
        lambda: seen.append(("start", solver.iter, np.any(weight.diff))),
        lambda: seen.append(("ready", solver.iter, np.any(weight.diff))),
    )
    solver.step(2)
    assert seen == [
        ("start", 0, False), ("ready", 0, True), ("start", 1, False), ("ready", 1, True),
    ]  # fmt: skip
    with pytest.raises(TypeError, match="two functions"):
        solver.add_callback(None, print)


class Failing(Exception):
    pass


def test_an_exception_in_a_callback_or_layer_ends_the_step_and_does_not_count():
    solver = make(SGD)
    solver.step(2)
    before = params(solver)

    def fail():
        raise Failing

    solver.net.after_forward(lambda k: fail() if solver.iter == 2 else None)
    with pytest.raises(Failing):
        solver.step(3)
    assert solver.iter == 2
    assert_same(params(solver), before)


def test_the_class_decides_not_the_type_in_the_file():
    assert make(SGD + 'type: "Adam"', cls=solvers.NesterovSolver).type == "Nesterov"
    assert make(SGD + 'type: "Adam"').type == "Adam"
    assert isinstance(make(SGD + 'type: "Adam"'), solvers.SGDSolver)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('type: "Adan"', "Unknown solver type: 'Adan'.*Did you mean 'Adam'"),
        ("average_loss: 0", "average_loss should be non-zero and positive, received 0"),
        ("iter_size: 0", "iter_size"),
        ('regularization_type: "L3" weight_decay: 1', "Unknown regularization type.*'L3'"),
        ('type: "AdaGrad"', "Momentum cannot be used with AdaGrad.*received momentum: 0.9"),
        ('type: "RMSProp"', "Momentum cannot be used with RMSProp"),
        ('net: "x"', "exactly one of these fields.*received net, net_param"),
        ("test_iter: 1", "test_interval > 0, received 0"),
        ('test_net: "a" test_net: "b" test_iter: 1', "2 test nets are named.*given 1 times"),
        ("test_iter: 1 test_state {} test_state {} test_interval: 1", "expected 1, received 2"),
        ('snapshot: 1 snapshot_prefix: "no/where"', "Cannot write to snapshot prefix 'no/where'"),
    ],
)
def test_settings_that_cannot_work_are_one_clear_error(text, message):
    with pytest.raises(SolverError, match=message):
        make(SGD + text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base_lr: 1", "Unknown learning rate policy: ''"),
        ('lr_policy: "fixd"', "Unknown learning rate policy: 'fixd'.*Did you mean 'fixed'"),
        ('lr_policy: "step" gamma: 1', "'step' needs stepsize > 0, received stepsize: 0"),
        ('lr_policy: "exp" gamma: -1', "'exp' needs gamma >= 0, received gamma: -1"),
        ('lr_policy: "poly" power: 1', "'poly' needs max_iter > 0"),
    ],
)
def test_a_policy_that_cannot_work_is_one_clear_error(text, message):
    solver = make(text)
    with pytest.raises(SolverError, match=message):
        solver.step(1)
    assert solver.iter == 0
