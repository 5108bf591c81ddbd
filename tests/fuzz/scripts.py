"""Runs a script of this folder in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def said_by(script, *arguments, **environment):
    """What it prints; its exit status must be 0."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments],
        capture_output=True,
        text=True,
        env=dict(os.environ, GLOG_minloglevel="2", **environment),
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
