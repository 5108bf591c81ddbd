"""Solvers that train together: the thread's state, two processes, and what starts them."""

import threading

import pytest

import caffe
from caffe import rank

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cpu_only,  # the solvers' processes choose their devices themselves
]


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
