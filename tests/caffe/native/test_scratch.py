"""Programs of one thread share their scratch memory, and those of several threads do not."""

import threading

import pytest
import torch

from caffe import native
from caffe.kernels import winograd as by_torch
from caffe.native.winograd import Winograd

pytestmark = pytest.mark.skipif(not native.available(), reason=native.why_not() or "available")


def _resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_many_programs_need_the_scratch_memory_of_one():
    u = by_torch.transform_weights(torch.randn(16, 512, 3, 3))
    x, y = torch.randn(64, 64, 512), torch.empty(64, 64, 16)
    Winograd(u).forward(x, None, y)
    programs = [Winograd(u) for _ in range(12)]
    before = _resident()
    for program in programs:
        program.forward(x, None, y)
    scratch = 24 * 3 * 128 * 512 * 2  # of one, with one thread
    assert _resident() - before < 2 * scratch


def test_a_thread_that_ends_gives_its_memory_back():
    u = by_torch.transform_weights(torch.randn(16, 512, 3, 3))
    program = Winograd(u)
    x, y = torch.randn(64, 64, 512), torch.empty(64, 64, 16)
    found = []
    for _ in range(8):
        thread = threading.Thread(target=program.forward, args=(x, None, y))
        thread.start()
        thread.join()
        found.append(_resident())
    lost = 6 * 24 * 3 * 128 * 512 * 2  # if each kept its own
    assert found[-1] - found[1] < lost / 2
