"""Prefetching keeps the order, raises where it is asked, and ends with its layer."""

import subprocess
import sys
import threading
import time

import pytest

import bootstrap
from segdata import DataError
from segdata.prefetch import Prefetcher


def test_prefetch_keeps_order_whatever_the_threads_do():
    def slow_when_even(k):
        time.sleep(0.01 * (k % 2 == 0))
        return k

    prefetcher = Prefetcher(slow_when_even, iter(range(100)), workers=4)
    for k in range(20):
        assert prefetcher.current() == prefetcher.current() == k
        prefetcher.advance()
    prefetcher.close()


def test_prefetch_works_ahead_in_the_background():
    begun, go = [], threading.Event()

    def load(k):
        begun.append(k)
        go.wait(5)
        return threading.current_thread().name

    prefetcher = Prefetcher(load, iter(range(100)), ahead=2)
    go.set()
    assert prefetcher.current() != threading.current_thread().name
    deadline = time.time() + 5
    while len(begun) < 3 and time.time() < deadline:
        time.sleep(0.001)
    assert begun == [0, 1, 2]
    prefetcher.close()


def test_prefetch_raises_where_it_is_asked_and_skips_nothing():
    def load(k):
        if k == 1:
            raise DataError("file 1")
        return k

    prefetcher = Prefetcher(load, iter(range(100)))
    prefetcher.advance()
    for call in (prefetcher.current, prefetcher.advance, prefetcher.current):
        with pytest.raises(DataError, match="file 1"):
            call()
    prefetcher.close()


def test_threads_end_with_their_layer_and_do_not_hold_up_the_program():
    before = set(threading.enumerate())
    prefetcher = Prefetcher(lambda k: k, iter(range(100)))
    prefetcher.current()
    threads = set(threading.enumerate()) - before
    assert threads
    del prefetcher
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()

    program = (
        "from segdata.prefetch import Prefetcher; import itertools\n"
        "p = Prefetcher(lambda k: k, itertools.count()); p.current(); print('done')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=bootstrap.ROOT + "/layers",
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.split() == [b"done"] and not ended.stderr
