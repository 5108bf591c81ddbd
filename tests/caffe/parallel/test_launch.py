"""One process a GPU, started, stopped and ended together."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from parallel_solvers import LONG, NET, environment, write_data

import caffe
from caffe.parallel import launch, rendezvous, worker
from tests.caffe import parallel_pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cpu_only,  # the solvers' processes choose their devices themselves
]


def test_train_on_stops_all_when_asked_and_counts_as_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("GLOG_minloglevel", "2")
    write_data(tmp_path)
    Path("solver.prototxt").write_text(LONG)

    def interrupt():
        while not Path("s_iter_2.solverstate").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), caffe.parallel.launch.signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert caffe.parallel.train_on(["cpu", "cpu"], "solver.prototxt") == 0
    thread.join()


BAD_LAYER = """
import caffe

class Fails(caffe.Layer):
    def setup(self, bottom, top):
        self.calls = 0

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self.calls += 1
        if self.calls == 3 and caffe.solver_rank() == 1:
            raise ValueError("the disk is gone")

    def backward(self, top, propagate_down, bottom):
        pass
"""


def test_train_on_ends_all_with_the_one_error_that_began_it(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_data(tmp_path)
    Path("fails_here.py").write_text(BAD_LAYER)
    layer = 'type: "Python" python_param { module: "fails_here" layer: "Fails" }'
    Path("net.prototxt").write_text(NET + f'layer {{ name: "f" bottom: "label" {layer} }}')
    Path("solver.prototxt").write_text(LONG.replace("snapshot: 1", ""))
    began = time.monotonic()
    with pytest.raises(caffe.Error, match="solver 1 of 2 on the CPU: .*the disk is gone"):
        caffe.parallel.train_on(["cpu", "cpu"], "solver.prototxt")
    assert time.monotonic() - began < 30
    assert "because another solver stopped" not in capfd.readouterr().err


@pytest.mark.slow
def test_torchrun_takes_the_same_command(tmp_path):
    write_data(tmp_path)
    text = parallel_pair.SOLVER.format(
        net="net.prototxt", type="SGD", prefix="t", more="max_iter: 3 solver_mode: CPU"
    )
    (tmp_path / "solver.prototxt").write_text(text)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    command += ["2", "-m", "caffe", "train", "--solver", "solver.prototxt"]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env=dict(environment(), GLOG_minloglevel="0"),
        timeout=100,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("Starting Optimization") == 1  # rank 0's
    assert (tmp_path / "t_iter_3.caffemodel").exists()


def test_a_place_from_torchrun(monkeypatch):
    assert not caffe.parallel.in_torchrun()
    assert caffe.parallel.place_from_torchrun() == (0, 1)
    for name, value in zip(rendezvous._TORCHRUN, ("5", "8", "1", "localhost", "1234")):
        monkeypatch.setenv(name, value)
    assert caffe.parallel.place_from_torchrun() == (5, 8)
    assert caffe.NCCL.new_uid() == b"env://"
    job = worker.Job("p", "s", "cpu", 0, 1, "", "", 1.0)
    with pytest.raises(caffe.Error, match="more processes on this machine than devices"):
        monkeypatch.setenv("LOCAL_RANK", "2")
        launch._train_in_torchrun(job, [0, 1])
    monkeypatch.setenv("RANK", "x")
    with pytest.raises(caffe.Error, match="RANK should be a number"):
        caffe.parallel.place_from_torchrun()


def test_no_device_is_told(tmp_path):
    path = tmp_path / "solver.prototxt"
    path.write_text('net: "n" ')
    with pytest.raises(caffe.Error, match="no device to train on"):
        caffe.parallel.train_on([], path)
