"""Worker processes that are forked from one that has computed with several threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 16 dim: 64 dim: 64 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param {
  num_output: 32 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
"""

WITHOUT_PAUSE = """
import ctypes, torch
ctypes.CDLL = lambda path: None
"""

SCRIPT = """
import multiprocessing, os, sys, warnings
warnings.simplefilter("ignore")
import caffe, torch

def work(_=None):
    mine = caffe.Net("net.prototxt", caffe.TEST)
    for net in (mine, shared):
        if net is not None:
            net.forward()
    return torch.get_num_threads()

shared = None
torch.set_num_threads(2)
if sys.argv[1] == "after a pass":
    shared = caffe.Net("net.prototxt", caffe.TEST)
    shared.forward()
context = multiprocessing.get_context("fork")
with context.Pool(2) as pool:
    print(*pool.map(work, range(4)))
child = context.Process(target=work)
child.start()
child.join()
assert child.exitcode == 0
assert torch.get_num_threads() == 2
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("when", ["after a pass", "before"])
@pytest.mark.parametrize("library", ["pauses", "does not"])
def test_a_forked_worker_computes(tmp_path, when, library):
    """It hung for ever."""
    (tmp_path / "net.prototxt").write_text(NET)
    env = dict(os.environ, PYTHONPATH=str(SRC), GLOG_minloglevel="2", OMP_NUM_THREADS="2")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PAUSE * (library != "pauses") + SCRIPT, when],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    if library != "pauses":
        assert done.stdout.split() == ["1"] * 4
