"""The prefetching thread: order, how far it runs ahead, failures, its end."""

import os
import signal
import threading
import time
import warnings

import pytest

from caffe.data import prefetch
from caffe.data.prefetch import Prefetcher
from caffe.errors import DataError


class Counter:
    """Batches 0, 1, 2, ...; the one called ``bad`` fails."""

    def __init__(self, bad=None):
        self.number, self.bad, self.threads = 0, bad, set()

    def batch(self):
        self.threads.add(threading.current_thread())
        number = self.number
        self.number += 1
        if number == self.bad:
            raise DataError(f"batch {number} is bad")
        return number

    def place(self):
        return self.number

    def go_to(self, place):
        self.number = place


def settled(source):
    """The source's place once the thread makes nothing more."""
    last = None
    while last != source.number:
        last = source.number
        time.sleep(0.02)
    return last


def test_order_and_depth():
    source = Counter()
    prefetcher = Prefetcher(source, 2, "x")
    assert settled(source) == 0
    assert [prefetcher.next() for _ in range(5)] == [0, 1, 2, 3, 4]
    assert settled(source) == 5 + 2 + 1  # two are ready, one waits in the thread
    assert threading.current_thread() not in source.threads
    prefetcher.close()


def test_a_failure_comes_in_its_turn_and_can_be_tried_again():
    source = Counter(bad=2)
    prefetcher = Prefetcher(source, 4, "x")
    assert [prefetcher.next(), prefetcher.next()] == [0, 1]
    for _ in range(2):
        with pytest.raises(DataError, match="batch 2 is bad"):
            prefetcher.next()
    source.bad = None
    assert [prefetcher.next(), prefetcher.next()] == [2, 3]
    prefetcher.close()


def test_the_thread_ends_at_once_with_its_prefetcher():
    source = Counter()
    prefetcher = Prefetcher(source, 1, "x")
    prefetcher.next()
    settled(source)
    (thread,) = source.threads
    start = time.monotonic()
    del prefetcher
    assert not thread.is_alive()
    assert time.monotonic() - start < 0.4  # it was waiting to hand over a batch


def test_without_its_thread():
    prefetcher = Prefetcher(Counter(), 1, "layer 'd'")
    prefetcher.next()
    prefetcher._run.stop()
    prefetcher._run._ready.queue.clear()  # the batch that it waited with
    with pytest.raises(DataError, match="layer 'd': the prefetching thread has ended"):
        prefetcher.next()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_there_is_an_error_not_a_wait():
    """The queue's lock may be held by the thread that stayed behind."""
    prefetcher = Prefetcher(Counter(), 1, "layer 'd'")
    prefetcher.next()
    prefetcher._run._ready.mutex.acquire()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: the point
        child = os.fork()
    if child == 0:  # in the child: 7 where all is well, 1 for anything else, by SIGALRM for a hang
        signal.alarm(20)
        try:
            prefetcher.next()
        except DataError as error:
            prefetcher.close()
            os._exit(7 if "was forked" in str(error) else 1)
        finally:
            os._exit(1)
    prefetcher._run._ready.mutex.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert prefetcher.next() == 1  # the parent reads on
    prefetcher.close()


def test_a_stuck_source_does_not_keep_the_program(monkeypatch):
    monkeypatch.setattr(prefetch, "_LAST_WAIT", 0.1)
    stuck = threading.Event()

    class Stuck(Counter):
        def batch(self):
            if self.number == 1:
                stuck.wait()
            return super().batch()

    prefetcher = Prefetcher(Stuck(), 1, "layer 'd'")
    prefetcher.next()
    thread = prefetcher._run._thread
    start = time.monotonic()
    prefetcher.close()
    assert time.monotonic() - start < 2 and thread.daemon
    stuck.set()
    thread.join()


def test_a_source_that_cannot_go_back_tells_the_first_error_too():
    class Broken(Counter):
        def go_to(self, place):
            raise DataError("no way back")

    prefetcher = Prefetcher(Broken(bad=1), 1, "layer 'd'")
    assert prefetcher.next() == 0
    with pytest.raises(DataError, match="batch 1 is bad .*no way back"):
        prefetcher.next()
