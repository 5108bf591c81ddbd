"""Signals: real ones, to a real process that trains; and the handler's own rules."""

import os
import signal
import subprocess
import sys
import time

import pytest

import caffe
from caffe.solver.actions import Action
from caffe.solver.signals import SignalHandler
from caffe.tools.flags import UsageError
from caffe.tools.train import action_of

pytestmark = [pytest.mark.slow, pytest.mark.cpu_only]  # processes of their own

NET = """
layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
  data_filler { type: "uniform" } data_filler { type: "uniform" } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.001 lr_policy: "fixed" max_iter: 100000000 snapshot_prefix: "snap"
solver_mode: CPU
"""


class Training:
    """A process of `caffe train` in a folder, and its log so far."""

    def __init__(self, folder, *flags, solver=SOLVER):
        (folder / "net.prototxt").write_text(NET)
        (folder / "solver.prototxt").write_text(solver)
        self.folder = folder
        self.path = folder / "log"
        source = os.path.dirname(os.path.dirname(caffe.__file__))
        env = dict(os.environ, PYTHONPATH=source, GLOG_minloglevel="0", OMP_NUM_THREADS="1")
        with open(self.path, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "caffe", "train", "-solver", "solver.prototxt", *flags],
                cwd=folder,
                env=env,
                stderr=log,
            )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()

    @property
    def log(self):
        return self.path.read_text()

    def wait_for(self, text, count=1):
        end = time.monotonic() + 120
        while self.log.count(text) < count:
            assert self.process.poll() is None, self.log[-2000:]
            assert time.monotonic() < end, f"no {text!r} in {self.log[-2000:]}"
            time.sleep(0.02)

    def send(self, name):
        self.process.send_signal(getattr(signal, name))

    def end(self):
        return self.process.wait(120)

    def snapshots(self):
        return sorted(self.folder.glob("snap_iter_*.solverstate"))


def test_hangup_snapshots_and_interrupt_stops_with_a_snapshot(tmp_path, monkeypatch):
    with Training(tmp_path) as training:
        training.wait_for("Learning Rate Policy")
        training.send("SIGHUP")
        training.wait_for("Snapshotting solver state")
        training.send("SIGINT")
        assert training.end() == 0
        assert training.log.count("Snapshotting solver state") == 2
        assert "Optimization stopped early." in training.log
        assert training.log.rstrip().endswith("Optimization Done.")
        assert len(training.snapshots()) == 2
        # The file is whole: training goes on from it.
        solver = tmp_path / "solver.prototxt"
        last = max(training.snapshots(), key=lambda p: int(p.stem.split("_")[-1]))
        iteration = int(last.stem.split("_")[-1])
        solver.write_text(SOLVER.replace("100000000", str(iteration + 1)))
        monkeypatch.chdir(tmp_path)
        resumed = caffe.get_solver(str(solver))
        resumed.restore(str(last))
        assert resumed.iter == iteration


def test_the_effects_can_be_exchanged_and_switched_off(tmp_path):
    flags = ("-sigint_effect", "none", "--sighup_effect=stop")
    with Training(tmp_path, *flags, solver=SOLVER + "snapshot_after_train: false") as training:
        training.wait_for("Learning Rate Policy")
        training.send("SIGINT")
        time.sleep(0.3)
        assert training.process.poll() is None
        training.send("SIGHUP")
        assert training.end() == 0
        assert "Optimization stopped early." in training.log
        assert training.snapshots() == []


def test_a_test_pass_is_interrupted_too(tmp_path):
    testing = SOLVER + "test_iter: 100000000 test_interval: 1000"
    with Training(tmp_path, solver=testing) as training:
        training.wait_for("Testing net (#0)")
        training.send("SIGHUP")
        training.wait_for("Snapshotting solver state")
        training.send("SIGINT")
        assert training.end() == 0
        assert "Test interrupted." in training.log
        assert [path.name for path in training.snapshots()] == ["snap_iter_0.solverstate"]
        assert "Test net output" not in training.log


def test_the_handlers_of_before_come_back():
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGHUP)]
    with pytest.raises(KeyError), SignalHandler(Action.STOP, Action.SNAPSHOT):
        assert signal.getsignal(signal.SIGINT) != before[0]
        raise KeyError
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGHUP)] == before


def test_hangup_comes_first_and_each_request_once():
    with SignalHandler(on_int=Action.STOP, on_hup=Action.SNAPSHOT) as ask:
        assert ask() is Action.NONE
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGHUP)
        assert [ask(), ask(), ask()] == [Action.SNAPSHOT, Action.STOP, Action.NONE]


def test_unknown_effects():
    assert action_of("sigint_effect", "none") is Action.NONE
    with pytest.raises(UsageError, match="Invalid signal effect 'halt'.*-sigint_effect.*stop"):
        action_of("sigint_effect", "halt")
