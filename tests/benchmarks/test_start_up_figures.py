"""benchmarks/start_up.py: processes timed by what the system says they used, and the table."""

import argparse
import importlib
import os
import sys

import pytest
from fcn_helpers import ROOT


@pytest.fixture
def start_up(monkeypatch):
    monkeypatch.setattr(sys, "path", [os.path.join(ROOT, "benchmarks"), *sys.path])
    return importlib.import_module("start_up")


def test_a_process_counts_with_what_it_used_itself(start_up):
    busy = "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    used, clock = start_up.run([sys.executable, "-c", busy], dict(os.environ), False)
    assert 0.2 <= used < 2 and clock >= 0.2
    told = [sys.executable, "-c", "print('other words')\nprint('TOOK 0.25 0.5')"]
    assert start_up.run(told, dict(os.environ), True) == (0.25, 0.5)
    with pytest.raises(RuntimeError, match="ended with status 3"):
        start_up.run([sys.executable, "-c", "raise SystemExit(3)"], dict(os.environ), False)


def test_the_table_has_a_column_for_each_program(start_up):
    best = {("one", "before"): (2, 3), ("one", "now"): (1, 1.5), ("two", "BVLC"): (0.25, 0.26)}
    lines = start_up.report(best, argparse.Namespace(rounds=3, before="x")).splitlines()
    assert "| | before | now | BVLC |" in lines
    assert "| `one` | 2.00 (3.00) | 1.00 (1.50) |  |" in lines
    assert "| `two` |  |  | 0.25 (0.26) |" in lines
