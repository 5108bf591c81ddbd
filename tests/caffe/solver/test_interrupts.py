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
