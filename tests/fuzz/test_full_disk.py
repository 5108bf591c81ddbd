"""A part of full_disk.py: every writer at a full disk and at a limit of the file's size."""

import pytest
from scripts import said_by


@pytest.mark.slow
def test_a_full_disk_is_one_error_and_loses_nothing():
    """In a process of its own: LMDB once ended it with SIGBUS."""
    assert "limit: " in said_by("full_disk.py", "--step", "4")
