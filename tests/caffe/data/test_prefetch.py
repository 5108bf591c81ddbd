"""The prefetching thread: order, how far it runs ahead, failures, its end."""

import threading
import time

import pytest

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


def test_without_its_thread_as_after_a_fork():
    prefetcher = Prefetcher(Counter(), 1, "layer 'd'")
    prefetcher.next()
    prefetcher._run.stop()
    with pytest.raises(DataError, match="layer 'd': the prefetching thread is gone"):
        while True:
            prefetcher.next()
