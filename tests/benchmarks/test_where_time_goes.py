"""benchmarks/where_time_goes.py: the layers of a pass, and the parts of one that runs a program."""

import os
import re
import subprocess
import sys

import pytest
from fcn_helpers import ROOT

from caffe import native
from caffe.kernels import compiled


@pytest.mark.slow
def test_lenets_layers_and_the_parts_of_its_program():
    script = os.path.join(ROOT, "benchmarks", "where_time_goes.py")
    command = [sys.executable, script, "lenet", "--seconds", "0.3", "--operations"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    layers, _, parts = done.stdout.partition("\nwith 1 program: best pass ")
    parts, _, operations = parts.partition("\n| operation |")
    assert "lenet: best pass " in layers and "| 5x5 Convolution | 2 |" in layers
    if not compiled.available():
        assert "no stretch of it runs as a program" in done.stdout
        return
    rows = re.findall(r"^\| (.+) \| ([0-9.]+) \| [0-9]+% \|$", parts, re.MULTILINE)
    checks = [] if native.available() else ["checks"]  # native programs check by themselves
    assert [title.split()[0] for title, _ in rows] == ["the", *checks, "copies", "other"]
    whole = float(parts.split()[0])
    assert abs(sum(float(took) for _, took in rows) - whole) < 0.005 * len(rows)
    if native.available():
        kinds = re.findall(r"^\| (\w+).*: ", operations, re.MULTILINE)
        layers = ["convolution", "max", "convolution", "max", "inner", "inner", "softmax"]
        assert kinds == ["import", *layers, "export"]
        together = re.search(r"^\| together \| ([0-9.]+) \|", operations, re.MULTILINE)
        assert together and 0 < float(together[1]) < 100
