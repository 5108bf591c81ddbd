"""Two processes on one name, and runs that are killed: a part of what the scripts try."""

import pytest
from scripts import said_by

pytest.importorskip("lmdb")


@pytest.mark.slow
def test_two_processes_on_one_name_never_mix():
    told = said_by("two_at_once.py", "--count", "3")
    assert "lmdb: 3 right, 0 wrong" in told and "solve: 1 right, 0 wrong" in told


@pytest.mark.slow
def test_a_run_that_is_killed_anywhere_ends_with_the_same_bytes():
    told = said_by("kill_runs.py", "--step", "150", "--times", "0", "--chain", "toy-fcn32s")
    assert told.endswith("\n0 wrong\n") and " kills, at " in told, told
