"""The update: what it subtracts, in how many launches, what it keeps."""

import numpy as np
import pytest
import torch
from solver_files import SGD, make, params

from caffe import device as devices
from caffe import glog, rng

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_diff_holds_the_applied_update_exactly(device):
    solver = make(SGD + "weight_decay: 0.1 clip_gradients: 0.5 iter_size: 2")
    solver.step(2)
    before = params(solver)
    solver.step(1)
    for key, value in params(solver).items():
        name, i = key.split(".")
        diff = solver.net.params[name][int(i)].diff
        np.testing.assert_array_equal(value, before[key] - diff)


def test_an_update_that_is_applied_again_starts_from_what_was_subtracted(device):
    """On a GPU the diff is not there yet; it is what the history was, not what it becomes."""
    solver = make('base_lr: 0.5 lr_policy: "fixed" momentum: 0.5')
    weight = solver.net.params["ip1"][0]
    start = weight.data.copy()
    weight.diff[...] = 2
    for _ in range(2):  # 1, then 0.5 * 1 + 0.5 * 1
        solver.apply_update()
    np.testing.assert_array_equal(weight.diff, np.ones_like(start))
    np.testing.assert_allclose(weight.data, start - 2, rtol=1e-6)


@pytest.mark.cpu_only  # on a GPU, as in BVLC Caffe, the array shows it once `diff` is read again
def test_a_diff_array_that_is_kept_shows_what_every_update_subtracts():
    solver = make('base_lr: 0.5 lr_policy: "fixed" momentum: 0.5')
    weight = solver.net.params["ip1"][0]
    held = weight.diff
    held[...] = 2
    solver.apply_update()
    np.testing.assert_array_equal(held, np.ones_like(held))
    held[...] = 2
    solver.apply_update()
    np.testing.assert_array_equal(held, np.full_like(held, 1.5))


def test_a_diff_that_nobody_asks_for_is_not_written_by_an_update():
    solver = make(SGD)
    solver.step(1)
    assert solver.net.params["ip1"][0].diff_storage.deferred


@pytest.mark.cpu_only
def test_a_gradient_whose_axes_of_1_have_other_strides_is_updated_with_the_rest():
    """As those of depthwise weights have.  One of them used to send all to the single steps."""
    net = """
        layer { name: "data" type: "Input" top: "data"
          input_param { shape { dim: 2 dim: 4 dim: 6 dim: 6 } } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
          num_output: 4 group: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
        layer { name: "loss" type: "Reduction" bottom: "conv" top: "loss" loss_weight: 1 }
    """
    solver = make(SGD, net)
    weight, bias = solver.net.params["conv"]
    start, gradient = weight.data.copy(), np.arange(36.0, dtype=np.float32).reshape(4, 1, 3, 3)
    weight.set_diff(torch.from_numpy(gradient.copy()).as_strided((4, 1, 3, 3), (9, 1, 3, 1)))
    solver.apply_update()
    assert weight.diff_storage.deferred and bias.diff_storage.deferred  # all in one operator
    np.testing.assert_allclose(weight.data, start - solver.lr * gradient, rtol=1e-5, atol=1e-6)


def test_apply_update_uses_the_gradients_as_they_are():
    solver = make('base_lr: 0.5 lr_policy: "fixed" momentum: 0')
    weight = solver.net.params["ip1"][0]
    before = weight.data.copy()
    weight.diff[...] = 2
    solver.apply_update()
    assert solver.iter == 1
    np.testing.assert_array_equal(weight.data, before - np.float32(1))


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


def test_no_gradient_graph_is_kept():
    solver = make(SGD)
    solver.step(1)
    assert not any(h is not None and h.requires_grad for h in solver._update.history)
    assert torch.is_grad_enabled()


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
