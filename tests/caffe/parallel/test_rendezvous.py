"""Workers find each other, or say who did not come."""

import pytest
from parallel_solvers import write_data

import caffe
from tests.caffe import parallel_pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cpu_only,  # the solvers' processes choose their devices themselves
]


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
