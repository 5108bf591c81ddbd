"""A thread's place among solvers: its own, checked, one of one at first."""

import threading

import numpy as np
import pytest

import caffe
from caffe import rank


@pytest.fixture(autouse=True)
def alone():
    yield
    rank.set_solver_count(1)
    rank.set_solver_rank(0)
    rank.set_multiprocess(False)


def place():
    return rank.solver_rank(), rank.solver_count(), rank.multiprocess(), rank.is_root()


def test_at_first_one_solver_of_rank_0():
    assert place() == (0, 1, False, True)


def test_what_is_set_is_this_threads_alone():
    rank.set_solver_count(3)
    rank.set_solver_rank(2)
    rank.set_multiprocess(1)
    assert place() == (2, 3, True, False)
    found = []
    thread = threading.Thread(target=lambda: found.append(place()))
    thread.start()
    thread.join()
    assert found == [(0, 1, False, True)]


def test_in_either_order():
    rank.set_solver_rank(np.int64(5))  # the count is said later
    rank.set_solver_count(6)
    assert place()[:2] == (5, 6)


@pytest.mark.parametrize(
    ("setter", "value", "told"),
    [
        (rank.set_solver_count, 0, "the solver count is 1 or more, received 0"),
        (rank.set_solver_rank, -1, "the solver rank is 0 or more, received -1"),
    ],
)
def test_impossible_places_change_nothing(setter, value, told):
    with pytest.raises(caffe.Error, match=told):
        setter(value)
    assert place() == (0, 1, False, True)


@pytest.mark.parametrize("value", [1.0, "1", None])
def test_whole_numbers_alone(value):
    with pytest.raises(TypeError):
        rank.set_solver_count(value)
