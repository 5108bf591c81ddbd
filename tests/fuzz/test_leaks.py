"""A part of leaks.py, in a process of its own, so that other tests' memory does not count."""

import os

import pytest
from scripts import said_by


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_nothing_grows():
    told = said_by("leaks.py", "--times", "150", "--nets", "40", OMP_NUM_THREADS="1")
    assert "40 data nets" in told and "eight threads" in told
