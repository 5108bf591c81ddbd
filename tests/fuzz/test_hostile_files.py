"""Hostile prototxts, pictures and other files, a part each, in processes with limited memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize(
    "script, share",
    [
        ("hostile_prototxts.py", ("--step", "3")),
        ("hostile_pictures.py", ("--step", "3")),
        ("damaged_files.py", ("--count", "40", "--seed", "2")),
    ],
)
def test_each_is_taken_or_one_error_in_time(script, share):
    done = subprocess.run(
        [sys.executable, str(HERE / script), *share],
        capture_output=True,
        text=True,
        env=dict(os.environ, GLOG_minloglevel="2"),
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "refused" in done.stdout
