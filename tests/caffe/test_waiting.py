"""How threads wait: set before PyTorch is loaded, unless the user has set it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from caffe import _waiting

pytestmark = pytest.mark.slow

SRC = Path(__file__).resolve().parents[2] / "src"


def openmp_settings(code, **environment):
    """What the OpenMP library in a new process says it works with: a dict of strings."""
    env = {name: value for name, value in os.environ.items() if name not in _waiting.SETTINGS}
    env.update(environment, PYTHONPATH=str(SRC), OMP_DISPLAY_ENV="verbose")
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pairs = (line.split("=", 1) for line in done.stderr.splitlines() if "=" in line)
    settings = {name.split("]")[-1].strip(): value.strip(" '") for name, value in pairs}
    if "GOMP_SPINCOUNT" not in settings:
        pytest.skip("PyTorch's OpenMP library here is not GNU's")
    return settings


@pytest.mark.parametrize(
    "code", ["import caffe", "from caffe import net_spec", "import caffe.cli, torch"]
)
def test_threads_sleep_on_a_busy_machine(code):
    settings = openmp_settings(code + "; import torch")  # which loads the library
    assert settings["OMP_WAIT_POLICY"] == "PASSIVE"
    assert settings["GOMP_SPINCOUNT"] == _waiting.SETTINGS["GOMP_SPINCOUNT"] == "1000"


def test_what_the_user_has_set_stays():
    assert (
        openmp_settings("import caffe, torch", OMP_WAIT_POLICY="active")["OMP_WAIT_POLICY"]
        == "ACTIVE"
    )
    settings = openmp_settings("import caffe, torch", GOMP_SPINCOUNT="77")
    assert settings["GOMP_SPINCOUNT"] == "77"
    code = "import caffe, os, torch; assert 'OMP_WAIT_POLICY' not in os.environ"
    assert openmp_settings(code, KMP_BLOCKTIME="5")


def test_after_pytorch_it_is_too_late_and_nothing_is_set():
    openmp_settings("import torch, caffe, os; assert 'OMP_WAIT_POLICY' not in os.environ")
