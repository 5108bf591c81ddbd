"""A seeded part of what run.py and kill_snapshots.py do: 200 files of each kind, 10 kills.

Every file is taken or ends in one ``caffe.Error``; nothing hangs, crashes or leaves the process
unusable.  The comparison with BVLC Caffe is run.py's.
"""

import contextlib
import random
import signal
import sys
from pathlib import Path

import pytest

import caffe
from caffe import rng as caffe_rng
from caffe.errors import WeightsError

sys.path.insert(0, str(Path(__file__).parent))
import kill_snapshots
import run
import seeds
import side

COUNT = 200


@pytest.fixture(autouse=True)
def random_state():
    before = caffe_rng.get_random_state()
    yield
    caffe_rng.set_random_state(before)


class Hang(BaseException):
    pass


@contextlib.contextmanager
def in_time(name):
    def ring(number, frame):
        raise Hang(f"file {name} took more than {side.SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(side.SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", ["net", "solver"])
@pytest.mark.filterwarnings("ignore")  # of weights that are all zero, of foreign fields
def test_a_mutated_prototxt_is_taken_or_one_error(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run.make_files(tmp_path, kind, COUNT, seed=3)
    work = side.run_net if kind == "net" else side.run_solver
    taken = refused = 0
    phases = {"phases": [k % 2 for k in range(COUNT)]}
    for k in range(COUNT):
        path = tmp_path / f"{k:05}"
        with in_time(path.name):
            try:
                work(caffe, str(path), phases, k)
                taken += 1
            except caffe.Error as error:
                assert str(error).strip(), path.read_text()
                refused += 1
            except Exception as error:
                pytest.fail(f"{type(error).__name__}: {error}\n{path.read_text()}")
    assert taken > COUNT // 10 and refused > COUNT // 10  # or the mutations show nothing
    source = tmp_path / "whole"
    source.write_text(
        (seeds.NETS if kind == "net" else seeds.SOLVERS)["classifier" if kind == "net" else "sgd"]
    )
    assert work(caffe, str(source), {"phases": [1]}, 0)


def test_a_mutated_caffemodel_is_taken_or_one_error_in_twice_its_memory(tmp_path):
    run.make_files(tmp_path, "weights", COUNT, seed=3)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    for blobs in net.params.values():
        for blob in blobs:
            blob.diff[...] = blob.data[...] = 0.25
    taken = refused = 0
    for k in range(COUNT):
        path = tmp_path / f"{k:05}"
        with in_time(path.name):
            try:
                side.run_weights(net, str(path), True)
                taken += 1
            except WeightsError as error:
                assert path.name in str(error)
                refused += 1
        peak = int(Path(f"{path}.peak").read_text())
        assert peak <= 2 * path.stat().st_size + run.SLACK, path.name
    assert taken > COUNT // 10 and refused > COUNT // 10
    whole = tmp_path / "whole"
    whole.write_bytes(seeds.weights()["plain"])
    net.copy_from(str(whole))


@pytest.mark.parametrize("kind", ["hdf5", "state"])
def test_a_mutated_hdf5_file_or_solverstate_is_taken_or_one_error(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run.make_files(tmp_path, kind, COUNT, seed=3)
    if kind == "hdf5":
        net = caffe.Net("net.prototxt", caffe.TEST)
        use, whole = net.copy_from, "whole.h5"
    else:
        solver = caffe.get_solver("solver.prototxt")
        net, use, whole = solver.net, solver.restore, "s_iter_2.solverstate.h5"
    blobs = [blob for blobs in net.params.values() for blob in blobs]
    taken = refused = 0
    for name in sorted(p.name for p in tmp_path.iterdir() if p.name[:5].isdigit()):
        for blob in blobs:
            blob.data[...] = 0.25
        with in_time(name):
            try:
                use(name)
                taken += 1
            except WeightsError as error:
                assert name in str(error) or "s_iter_2" in str(error)
                assert all((blob.data == 0.25).all() for blob in blobs), name  # nothing by halves
                refused += 1
    assert taken > COUNT // 20 and refused > COUNT // 10
    use(whole)
    assert all((blob.data != 0.25).any() for blob in blobs)


@pytest.mark.parametrize("same_name", [False, True])
@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
def test_a_snapshot_that_is_killed_leaves_whole_files_and_the_one_before(form, same_name):
    rng = random.Random(4)
    for _ in range(3 if form == "BINARYPROTO" else 2):
        what, _ = kill_snapshots.attempt(form, same_name, rng)
        assert not what
