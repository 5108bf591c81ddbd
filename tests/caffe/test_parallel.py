"""Solvers that train together: the state of a thread."""

import threading

import pytest

import caffe
from caffe.parallel import state


@pytest.fixture(autouse=True)
def one_solver_again():
    yield
    state._place.__dict__.clear()


def test_a_thread_starts_as_one_solver_of_rank_0():
    assert (caffe.solver_count(), caffe.solver_rank()) == (1, 0)
    assert not state.multiprocess()
    assert caffe.has_nccl() is True


def test_what_is_set_belongs_to_the_thread():
    caffe.set_solver_rank(2)
    caffe.set_solver_count(3)
    caffe.set_multiprocess(True)
    assert (caffe.solver_count(), caffe.solver_rank(), state.multiprocess()) == (3, 2, True)
    seen = []
    thread = threading.Thread(target=lambda: seen.append((state.solver_count(), state.is_root())))
    thread.start()
    thread.join()
    assert seen == [(1, True)]


@pytest.mark.parametrize(("name", "value"), [("set_solver_count", 0), ("set_solver_rank", -1)])
def test_numbers_out_of_range_are_refused(name, value):
    with pytest.raises(caffe.Error, match=f"or more, received {value}"):
        getattr(caffe, name)(value)
