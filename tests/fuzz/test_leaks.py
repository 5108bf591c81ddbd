"""A part of leaks.py, in a process of its own, so that other tests' memory does not count."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "leaks.py"


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_nothing_grows():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--times", "150", "--nets", "40"],
        capture_output=True,
        text=True,
        env=dict(os.environ, GLOG_minloglevel="2", OMP_NUM_THREADS="1"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 data nets" in done.stdout and "eight threads" in done.stdout
