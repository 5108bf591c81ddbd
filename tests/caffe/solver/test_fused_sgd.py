"""One call updates all parameters of plain SGD, and what it must equal."""

import numpy as np
import pytest
import torch
from solver_files import SGD, make, params

from caffe.arithmetic import set_precision
from caffe.solver import fused_sgd

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


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
    solver.net.clear_param_diffs()
    solver.net.forward_loss()
    solver.net.backward_all()
    with pretend.counting() as counts:
        solver.apply_update()
    assert counts["launch"] == 1, counts.lines("launch")
    kept = solver.history_arrays()
    resumed = make(text, CONVOLUTIONS)
    resumed.restore("s_iter_2.solverstate")
    for history in resumed.history_arrays(), solver.history_arrays():
        assert [h.shape for h in history] == [(4, 3, 3, 3), (4,), (2, 4, 1, 1), (2,)]
    resumed.step(1)
    assert all(h.flags.c_contiguous and h.any() for h in kept)
    assert all(np.isfinite(h).all() for h in resumed.history_arrays())
