"""docs/gpu.md tells what benchmarks/gpu_counts.py counts today."""

import os
import re
import subprocess
import sys

import pytest
from fcn_helpers import ROOT

pytestmark = pytest.mark.slow


def test_the_page_has_todays_counts():
    command = [sys.executable, os.path.join(ROOT, "benchmarks", "gpu_counts.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    counted = rows(done.stdout)
    with open(os.path.join(ROOT, "docs", "gpu.md"), encoding="utf-8") as page:
        told = rows(page.read().split("| | launch before | now |")[1].split("\n\n")[0])
    assert list(told) == list(counted) and len(told) == 7
    for name, (_, launch, _, sync, view, alloc, up, down) in told.items():
        want = counted[name]
        assert [launch, view, alloc, up, down, sync] == [want[k] for k in (0, 1, 2, 3, 5, 7)], name


def rows(text):
    """{name: cells} of a table's rows of counts."""
    found = re.findall(r"^\| ([a-z][a-z ]*) \|(.*)\|$", text, re.M)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in found}
