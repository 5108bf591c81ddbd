"""Solvers against BVLC Caffe's own runs (golden/solver.py makes them), and what it cannot show."""

import importlib.util
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe import device as devices
from caffe import glog, rng
from caffe import solver as solvers
from caffe.arithmetic import set_precision
from caffe.errors import SolverError, WeightsError
from caffe.solver import fused_sgd
from caffe.solver.actions import Action

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent / "golden"


def golden_module(name):
    spec = importlib.util.spec_from_file_location(f"golden_{name}", GOLDEN / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden = golden_module("solver")


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def logging(monkeypatch):
    monkeypatch.setattr(glog._state, "level", 0)


def make(text, net=golden.NET, cls=None):
    Path("solver.prototxt").write_text(f"net_param {{ {net} }} {text}")
    return (cls or solvers.get_solver)("solver.prototxt")


SGD = 'base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 random_seed: 1 '


def params(solver):
    return {
        f"{name}.{i}": blob.data.copy()
        for name, blobs in solver.net.params.items()
        for i, blob in enumerate(blobs)
    }


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


# Against BVLC Caffe -----------------------------------------------------------------------------


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


# Resuming ---------------------------------------------------------------------------------------


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


# Steps, callbacks, rates ------------------------------------------------------------------------


def test_the_diff_holds_the_applied_update_exactly():
    solver = make(SGD + "weight_decay: 0.1 clip_gradients: 0.5 iter_size: 2")
    solver.step(2)
    before = params(solver)
    solver.step(1)
    for key, value in params(solver).items():
        name, i = key.split(".")
        diff = solver.net.params[name][int(i)].diff
        np.testing.assert_array_equal(value, before[key] - diff)


def test_the_fused_update_is_the_plain_one(monkeypatch):
    """Also for the tiny rates of unnormalised losses (1e-14) and with clipping and iter_size."""
    text = SGD.replace("base_lr: 0.1", "base_lr: 1e-14")
    text += "weight_decay: 1e6 clip_gradients: 0.5 iter_size: 2"
    results = []
    for fused in (True, False):
        monkeypatch.setattr(fused_sgd, "available", lambda device, fused=fused: fused)
        solver = make(text)
        solver.step(1)
        before = params(solver)
        solver.step(3)
        results.append(solver.history_arrays())
        for key, value in params(solver).items():
            assert np.isfinite(value).all() and before[key].shape == value.shape
    for a, b in zip(*results):
        assert np.any(b) or b.shape in [(5, 5), (5,)]  # the frozen layer
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * np.abs(b).max())


def test_the_fused_update_is_there():
    assert fused_sgd.available()  # else this PyTorch takes twice the time for an update


@pytest.mark.parametrize("fused", [True, False])
def test_a_fused_update_that_goes_wrong_is_not_used(monkeypatch, fused):
    def wrong(w, g, h, **settings):
        if not fused:
            raise RuntimeError("not implemented")
        w[0].add_(1)

    monkeypatch.setattr(torch, "_fused_sgd_", wrong, raising=False)
    assert not fused_sgd.available.__wrapped__()


def test_apply_update_uses_the_gradients_as_they_are():
    solver = make('base_lr: 0.5 lr_policy: "fixed" momentum: 0')
    weight = solver.net.params["ip1"][0]
    before = weight.data.copy()
    weight.diff[...] = 2
    solver.apply_update()
    assert solver.iter == 1
    np.testing.assert_array_equal(weight.data, before - np.float32(1))


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


def test_a_frozen_layer_stays_and_has_no_history_in_memory():
    solver = make(SGD + "weight_decay: 0.1")
    before = params(solver)
    solver.step(3)
    after = params(solver)
    np.testing.assert_array_equal(after["frozen.0"], before["frozen.0"])
    assert np.any(after["ip1.0"] != before["ip1.0"])
    assert not np.any(solver.net.params["frozen"][0].diff)
    held = [h is not None for h in solver._update.history]
    assert held == [True, True, False, False, True, True]
    assert [h.shape for h in solver.history_arrays()][2] == (5, 5)


@pytest.mark.parametrize("kind", ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"])
def test_what_is_derived_from_frozen_weights_stays(kind):
    """Packed kernels of a frozen layer are made once, also after a snapshot was restored."""
    text = 'base_lr: 0.1 lr_policy: "fixed" weight_decay: 0.1 delta: 0.001 snapshot_prefix: "s" '
    text += f'type: "{kind}" ' + ("" if kind in ("AdaGrad", "RMSProp") else "momentum: 0.9 ")
    solver = make(text)
    weight = solver.net.params["frozen"][0]
    before = weight.data.copy()
    solver.step(1)
    solver.snapshot()
    solver.restore("s_iter_1.solverstate")
    made = []
    for _ in range(3):
        weight.data_storage.cached("derived", lambda: made.append(1))
        solver.step(1)
    assert len(made) == 1
    np.testing.assert_array_equal(weight.data, before)


def test_history_follows_from_the_cpu_to_a_device(monkeypatch):
    solver = make(SGD)
    rng.set_random_seed(3)
    solver.step(4)
    expected = params(solver)
    moving = make(SGD)
    rng.set_random_seed(3)
    moving.step(2)
    monkeypatch.setattr(devices._mode, "device", devices.MIRROR)
    moving.step(2)
    for key, value in params(moving).items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-6, atol=1e-7)


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


# Construction -----------------------------------------------------------------------------------


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


def test_no_gradient_graph_is_kept():
    solver = make(SGD)
    solver.step(1)
    assert not any(h is not None and h.requires_grad for h in solver._update.history)
    assert torch.is_grad_enabled()


# On a GPU -----------------------------------------------------------------------------------------

RULES = {
    "SGD": "momentum: 0.9",
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "",
    "RMSProp": "rms_decay: 0.9",
    "AdaDelta": "momentum: 0.9 delta: 1e-6",
    "Adam": "momentum: 0.9 momentum2: 0.99",
}


def trained(text, steps=3):
    solver = make(text)
    solver.step(steps)
    return params(solver), [h.copy() for h in solver.history_arrays()], solver


@pytest.mark.parametrize("kind", ["L1", "L2"])
@pytest.mark.parametrize("rule", RULES)
def test_updates_of_many_tensors_at_once_are_those_of_one(rule, kind, device):
    text = (
        f'type: "{rule}" {RULES[rule]} base_lr: 0.05 lr_policy: "fixed" random_seed: 1 '
        f'weight_decay: 0.01 regularization_type: "{kind}" clip_gradients: 0.2 iter_size: 2'
    )
    found, history, solver = trained(text)
    diffs = {
        f"{name}.{i}": blob.diff.copy()
        for name, blobs in solver.net.params.items()
        for i, blob in enumerate(blobs)
    }
    devices.set_mode_cpu()
    expected, expected_history, on_cpu = trained(text)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=2e-5, atol=1e-6, err_msg=key)
        name, i = key.split(".")
        subtracted = on_cpu.net.params[name][int(i)].diff
        np.testing.assert_allclose(diffs[key], subtracted, rtol=2e-4, atol=1e-6, err_msg=key)
    for a, b in zip(history, expected_history):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("rule, most", [("SGD", 8), ("Nesterov", 20), ("Adam", 30)])
def test_an_update_is_a_few_launches_and_waits_for_nothing(rule, most, pretend):
    """One of each kind for a rate and decay, however many parameters have them."""
    solver = make(
        f'type: "{rule}" {RULES[rule]} base_lr: 0.05 lr_policy: "fixed" weight_decay: 0.01 '
        "clip_gradients: 0.2"
    )
    solver.step(2)
    solver.net.clear_param_diffs()
    solver.net.forward()
    solver.net.backward()
    with pretend.counting() as counts:
        solver.apply_update()
    assert counts["sync"] == 0, counts.lines("sync")
    groups = len({(p.lr_mult, p.decay_mult) for p in solver.net.learnable})
    assert counts["launch"] <= most * groups, counts.lines("launch")
    with pretend.counting() as counts:
        solver.net.clear_param_diffs()
    assert counts["launch"] == 0


@pytest.mark.parametrize("limit", [1e-3, 1e9])
def test_a_log_does_not_change_how_a_gpu_clips(limit, pretend, monkeypatch):
    """A training that is resumed with the log off goes on with the same bits."""
    solver = make(f'base_lr: 0.05 lr_policy: "fixed" clip_gradients: {limit}')
    solver.net.forward()
    solver.net.backward()
    factors = []
    for on in (False, True):
        monkeypatch.setattr(glog, "is_on", lambda on=on: on)
        factors.append(solver._update._clip_factor(solver.param, False))
    assert all(isinstance(f, torch.Tensor) for f in factors)
    assert float(factors[0]) == float(factors[1]) <= 1


@pytest.fixture
def precision():
    yield set_precision
    set_precision("fp32")


CONVOLUTIONS = """
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } shape { dim: 2 dim: 1 dim: 8 dim: 8 }
    data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "score" type: "Convolution" bottom: "conv" top: "score" convolution_param {
  num_output: 2 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize("name", ["fp32", "tf32", "bf16"])
def test_weights_laid_out_for_the_tensor_cores_are_updated_in_one_pass_too(
    pretend, precision, name, monkeypatch
):
    precision(name)
    text = SGD + 'snapshot_prefix: "s" weight_decay: 0.1'
    solver = make(text, CONVOLUTIONS)
    solver.step(2)
    solver.snapshot()
    with pretend.counting() as counts:
        solver.apply_update()
    assert counts["launch"] == 2, counts.lines("launch")  # the update, and the diff
    kept = solver.history_arrays()
    resumed = make(text, CONVOLUTIONS)
    resumed.restore("s_iter_2.solverstate")
    for history in resumed.history_arrays(), solver.history_arrays():
        assert [h.shape for h in history] == [(4, 3, 3, 3), (4,), (2, 4, 1, 1), (2,)]
    resumed.step(1)
    assert all(h.flags.c_contiguous and h.any() for h in kept)
    assert all(np.isfinite(h).all() for h in resumed.history_arrays())
