"""Hostile prototxts, pictures and other files, a part each, in processes with limited memory."""

import pytest
from scripts import said_by


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
    assert "refused" in said_by(script, *share)
