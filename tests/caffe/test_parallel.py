"""Solvers that train together: the thread's state, two processes, and what starts them."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import caffe
from caffe import rank
from caffe.parallel import exchange, launch, rendezvous, worker
from tests.caffe import parallel_pair

PAIR = Path(parallel_pair.__file__)
NET = """
layer { name: "data" type: "HDF5Data" top: "data" top: "label"
        hdf5_data_param { source: "rows.txt" batch_size: 4 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "frozen" type: "Scale" bottom: "conv" top: "conv"
        param { lr_mult: 0 } scale_param { filler { type: "constant" value: 1.5 } } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" param { lr_mult: 2 }
        inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cpu_only,  # the solvers' processes choose their devices themselves
]


@pytest.fixture(autouse=True)
def one_solver_again():
    yield
    rank._place.__dict__.clear()


def environment():
    path = os.pathsep.join([str(PAIR.parents[2]), *filter(None, sys.path)])
    return dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS="1", GLOG_minloglevel="2")


def write_data(folder):
    random = np.random.RandomState(0)
    with h5py.File(folder / "rows.h5", "w") as file:
        file["data"] = random.randn(24, 2, 5, 5).astype(np.float32)
        file["label"] = random.randint(0, 3, 24).astype(np.float32)
    (folder / "rows.txt").write_text("rows.h5\n")
    (folder / "net.prototxt").write_text(NET)


# The thread's state -------------------------------------------------------------------------------


def test_a_thread_starts_as_one_solver_of_rank_0():
    assert (caffe.solver_count(), caffe.solver_rank()) == (1, 0)
    assert not rank.multiprocess()
    assert caffe.has_nccl() is True


def test_what_is_set_belongs_to_the_thread():
    caffe.set_solver_rank(2)
    caffe.set_solver_count(3)
    caffe.set_multiprocess(True)
    assert (caffe.solver_count(), caffe.solver_rank(), rank.multiprocess()) == (3, 2, True)
    seen = []
    thread = threading.Thread(target=lambda: seen.append((rank.solver_count(), rank.is_root())))
    thread.start()
    thread.join()
    assert seen == [(1, True)]


@pytest.mark.parametrize(("name", "value"), [("set_solver_count", 0), ("set_solver_rank", -1)])
def test_numbers_out_of_range_are_refused(name, value):
    with pytest.raises(caffe.Error, match=f"or more, received {value}"):
        getattr(caffe, name)(value)


def test_other_ranks_log_no_information(capfd, monkeypatch):
    monkeypatch.setattr(caffe.glog._state, "level", 0)
    caffe.set_solver_rank(1)
    caffe.glog.info("net", "of one rank only")
    assert not caffe.glog.is_on()
    caffe.glog.warning("net", "of every rank")
    caffe.log("by the user")
    logged = capfd.readouterr().err
    assert "of one rank only" not in logged
    assert "of every rank" in logged and "by the user" in logged


# Two processes ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """What both processes of one pair saw, the folder they ran in, and one worker's weights."""
    folder = tmp_path_factory.mktemp("pair")
    write_data(folder)
    uid = caffe.NCCL.new_uid().decode()
    processes = [
        subprocess.Popen([sys.executable, str(PAIR), str(rank), uid], cwd=folder, env=environment())
        for rank in (0, 1)
    ]
    alone = {}
    before = os.getcwd()
    os.chdir(folder)
    try:
        for name, (_, more) in parallel_pair.CASES.items():
            solver = parallel_pair.make(name, "alone", more)
            for step in range(parallel_pair.STEPS):
                solver.step(1)
                alone[f"{name}/{step}"] = parallel_pair.weights(solver)
        codes = [p.wait(60) for p in processes]
    finally:
        os.chdir(before)
        for p in processes:
            p.kill()
    assert codes == [0, 3]
    seen = [dict(np.load(folder / f"seen_{rank}.npz")) for rank in (0, 1)]
    return seen, folder, alone


@pytest.mark.parametrize("name", parallel_pair.CASES)
def test_two_workers_are_one_with_twice_the_passes(pair, name):
    (first, second), _, alone = pair
    start = first[f"{name}/bcast"]
    for step in range(parallel_pair.STEPS):
        key = f"{name}/{step}"
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)
        moved = np.abs(alone[key] - start).max()
        assert moved > 1e-3  # or there is nothing to compare
        np.testing.assert_allclose(first[key], alone[key], rtol=0, atol=1e-6, err_msg=key)


def test_bcast_gives_all_rank_0s_weights(pair):
    first, second = pair[0]
    assert np.abs(first["plain/before"] - second["plain/before"]).max() > 0.01  # seed + rank
    np.testing.assert_array_equal(second["plain/bcast"], first["plain/before"])


def test_only_rank_0_writes_snapshots(pair):
    (first, second), folder, _ = pair
    assert (folder / "worker0_iter_4.caffemodel").exists()
    assert not list(folder.glob("worker1_iter_*"))
    assert "only rank 0 writes them" in str(second["snapshot"])
    assert not str(first["snapshot"])


def test_misuse_is_told(pair):
    for seen in pair[0]:
        assert "one solver in each process" in str(seen["second"])
        assert "layer_wise_reduce: false" in str(seen["run"])
        assert "train different nets" in str(seen["other net"])


def test_a_worker_that_dies_ends_the_other_at_once(pair):
    first = pair[0][0]
    assert "because another solver stopped" in str(first["peer"])
    assert first["seconds"] < 10
    assert np.isfinite(first["usable"])


def test_rank_beyond_the_count_and_a_wrong_uid_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    solver = parallel_pair.make("plain", "s", "")
    with pytest.raises(caffe.Error, match=r"not a uid: b'\?'"):
        caffe.NCCL(solver, b"?")
    caffe.set_solver_rank(1)
    with pytest.raises(caffe.Error, match="solver rank 1 of 1 solvers: ranks are 0 to 0"):
        caffe.NCCL(solver, b"?")


def test_those_who_do_not_come_are_not_waited_for_longer_than_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    caffe.set_solver_count(2)
    solver = parallel_pair.make("plain", "s", "")
    with pytest.raises(caffe.parallel.PeerError, match="meeting the other solvers failed"):
        caffe.NCCL(solver, caffe.NCCL.new_uid(), timeout=0.5)


def test_small_tensors_travel_together_and_large_ones_alone(monkeypatch):
    monkeypatch.setattr(exchange, "_BUCKET", 10)
    tensors = [torch.zeros(n) for n in (4, 6, 1, 25, 3)]
    groups = [[t.numel() for t in group] for group in exchange.in_buckets(tensors)]
    assert groups == [[4, 6], [1], [25], [3]]


# What starts them -------------------------------------------------------------------------------

LONG = parallel_pair.SOLVER.format(
    net="net.prototxt",
    type="SGD",
    prefix="s",
    more="snapshot: 1 max_iter: 1000000 test_interval: 1 test_iter: 1",
)


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


def test_workers_compute_as_the_process_that_starts_them(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(launch, "_supervise", lambda jobs, handler: seen.extend(jobs))
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path)
    Path("solver.prototxt").write_text(LONG)
    caffe.set_precision("tf32")
    caffe.set_deterministic()
    try:
        launch.train_on(["cpu", "cpu"], "solver.prototxt")
    finally:
        caffe.set_precision("fp32")
        caffe.set_deterministic(False)
    assert [(job.precision, job.deterministic) for job in seen] == [("tf32", True)] * 2


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
