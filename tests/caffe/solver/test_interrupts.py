"""What disturbs a training from outside: Ctrl-C in an update, a log that cannot be written."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe.solver.signals import undisturbed

SRC = Path(__file__).resolve().parents[3] / "src"
SOLVER = """
train_net_param {
  layer { name: "x" type: "DummyData" top: "x" top: "l" dummy_data_param {
    shape { dim: 4 dim: 3 } shape { dim: 4 } data_filler { type: "gaussian" }
    data_filler { type: "constant" value: 1 } } }
  layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param {
    num_output: 2 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "l" top: "loss" }
}
base_lr: 0.1 lr_policy: "fixed" max_iter: 30 display: 1 random_seed: 1 snapshot_prefix: "s"
"""


def test_ctrl_c_within_an_update_waits_for_its_end(tmp_path, monkeypatch):
    """The weights had changed, the iteration had not."""
    monkeypatch.chdir(tmp_path)
    Path("solver.prototxt").write_text(SOLVER)
    solver = caffe.get_solver("solver.prototxt")
    solver.step(1)
    update = solver._update.apply

    def interrupted(*args):
        os.kill(os.getpid(), signal.SIGINT)
        update(*args)

    monkeypatch.setattr(solver._update, "apply", interrupted)
    before = solver.net.params["ip"][0].data.copy()
    with pytest.raises(KeyboardInterrupt):
        solver.step(5)
    assert solver.iter == 2 and not np.array_equal(before, solver.net.params["ip"][0].data)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def interrupting_layer(solver, monkeypatch, times):
    """Let the next forward pass of the train net be interrupted so many times."""
    forward = solver.net.forward_loss
    left = [times]

    def interrupted():
        loss = forward()
        while left[0]:
            left[0] -= 1
            os.kill(os.getpid(), signal.SIGINT)
        return loss

    monkeypatch.setattr(solver.net, "forward_loss", interrupted)


def test_ctrl_c_within_a_pass_waits_for_the_end_of_the_iteration(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    Path("solver.prototxt").write_text(SOLVER)
    solver = caffe.get_solver("solver.prototxt")
    solver.step(2)
    interrupting_layer(solver, monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        solver.step(5)
    assert solver.iter == 3
    assert "the iteration is finished first" in capfd.readouterr().err
    straight = caffe.get_solver("solver.prototxt")
    straight.step(3)
    np.testing.assert_array_equal(
        solver.net.params["ip"][0].data, straight.net.params["ip"][0].data
    )


def test_a_second_ctrl_c_ends_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("solver.prototxt").write_text(SOLVER)
    solver = caffe.get_solver("solver.prototxt")
    solver.step(2)
    before = solver.net.params["ip"][0].data.copy()
    interrupting_layer(solver, monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        solver.step(5)
    assert solver.iter == 2
    np.testing.assert_array_equal(solver.net.params["ip"][0].data, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    solver.step(1)
    assert solver.iter == 3


@pytest.mark.cpu_only  # on a GPU the number of threads decides nothing
@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
def test_another_number_of_threads_on_resume_is_told(tmp_path, monkeypatch, capfd, form):
    """Sums in another order give other bits, silently."""
    import torch

    from caffe import glog

    monkeypatch.chdir(tmp_path)
    Path("solver.prototxt").write_text(SOLVER + f"snapshot_format: {form}\n")
    solver = caffe.get_solver("solver.prototxt")
    solver.step(1)
    threads = torch.get_num_threads()
    name = "s_iter_1.solverstate" + (".h5" if form == "HDF5" else "")
    monkeypatch.setattr(glog._state, "level", 1)
    try:
        solver.snapshot()
        solver.restore(name)
        assert "threads" not in capfd.readouterr().err
        torch.set_num_threads(threads + 1)
        solver.restore(name)
    finally:
        torch.set_num_threads(threads)
    told = capfd.readouterr().err
    assert f"written with {threads} threads, this process has {threads + 1}" in told
    if form == "BINARYPROTO":  # for BVLC's protobuf it is a field to skip
        state = caffe.proto.caffe_pb2.SolverState.FromString(Path(name).read_bytes())
        assert state.iter == 1 and len(state.history) == 2


def test_an_error_in_the_body_stays_and_other_threads_are_left_alone():
    with pytest.raises(ValueError, match="mine"), undisturbed():
        raise ValueError("mine")
    done = []
    thread = threading.Thread(target=lambda: done.append(undisturbed().__enter__()))
    thread.start()
    thread.join()
    assert done == [None] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
@pytest.mark.parametrize("redirect", ["2>/dev/full", "2>&-", "2>&1 | head -n 1", ">&- 2>&- <&-"])
def test_a_log_that_cannot_be_written_ends_no_training(tmp_path, redirect):
    if "/dev/full" in redirect and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    train = f"set -o pipefail; {sys.executable} -m caffe train -solver solver.prototxt {redirect}"
    env = dict(os.environ, PYTHONPATH=str(SRC), GLOG_minloglevel="0")
    done = subprocess.run(["bash", "-c", train], cwd=tmp_path, env=env, capture_output=True)
    assert (tmp_path / "s_iter_30.solverstate").exists()
    assert done.returncode == 0
    weights = (tmp_path / "s_iter_30.caffemodel").read_bytes()
    assert b"solver.cpp" not in weights and caffe.proto.caffe_pb2.NetParameter.FromString(weights)


def test_a_log_file_on_a_full_disk_is_told_once(capsys):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    from caffe import glog

    with open("/dev/full", "w") as full:
        try:
            with glog.copied_to(full):
                glog.error("x", "first")
                glog.error("x", "second")
        finally:
            glog._state.failed.clear()
            os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    told = capsys.readouterr().err
    assert told.count("/dev/full cannot be written: No space left") == 1
    assert "first" in told and "second" in told
