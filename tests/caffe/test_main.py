"""`python -m caffe` is the command."""

import os
import subprocess
import sys

import pytest

import caffe

pytestmark = pytest.mark.usefixtures("brew_folder")


@pytest.mark.slow
def test_python_dash_m():
    env = dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(caffe.__file__)))
    done = subprocess.run(
        [sys.executable, "-m", "caffe", "-version"], env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "caffe version 1.0.0\n", "")
