"""The NCCL class: gradients averaged, weights broadcast, misuse told."""

import os
import subprocess
import sys

import numpy as np
import pytest
from parallel_solvers import PAIR, environment, write_data

import caffe
from tests.caffe import parallel_pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cpu_only,  # the solvers' processes choose their devices themselves
]


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
