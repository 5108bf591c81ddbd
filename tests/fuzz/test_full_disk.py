"""A part of full_disk.py: every writer at a full disk and at a limit of the file's size."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "full_disk.py"


@pytest.mark.slow
def test_a_full_disk_is_one_error_and_loses_nothing():
    """In a process of its own: LMDB once ended it with SIGBUS."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--step", "4"],
        capture_output=True,
        text=True,
        env=dict(os.environ, GLOG_minloglevel="2"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "limit: " in done.stdout
