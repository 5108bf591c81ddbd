"""Kernels in C that are called by themselves."""

import threading
import weakref

import pytest
import torch

from caffe import native
from caffe.native import calls, places

pytestmark = pytest.mark.cpu_only


@pytest.mark.skipif(not native.available(), reason=native.why_not())
def test_threads_call_at_once_without_disturbing_each_other():
    xs = [torch.randn(4, 8, 40, 40) for _ in range(4)]
    found = [None] * len(xs)

    def pool(i):
        for _ in range(20):
            found[i] = places.forward(xs[i], (2, 2), (2, 2), (0, 0), (20, 20))[0]

    threads = [threading.Thread(target=pool, args=(i,)) for i in range(len(xs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for x, y in zip(xs, found):
        assert torch.equal(y, torch.nn.functional.max_pool2d(x, 2))


def test_without_kernels_a_call_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(native, "library", lambda: None)
    monkeypatch.setattr(native, "why_not", lambda: "they were not built")
    with pytest.raises(RuntimeError, match="they were not built"):
        calls.Calls("kernels_places_new", "kernels_places").run(False, places._Pooled())


@pytest.mark.skipif(not native.available(), reason=native.why_not())
def test_a_thread_that_ends_lets_go_of_its_programs():
    held = []

    def pool():
        places.forward(torch.ones(1, 1, 4, 4), (2, 2), (2, 2), (0, 0), (2, 2))
        held.extend(map(weakref.ref, places._calls._programs.values()))

    thread = threading.Thread(target=pool)
    thread.start()
    thread.join()
    del thread
    assert len(held) == 1 and held[0]() is None


def test_memory_for_kernels_is_float32_on_the_cpu_whatever_the_defaults_are():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        found = calls.floats((2, 3, 4, 5), torch.channels_last)
    finally:
        torch.set_default_dtype(before)
    assert (found.dtype, found.shape) == (torch.float32, (2, 3, 4, 5))
    assert found.stride() == (60, 1, 15, 3)
