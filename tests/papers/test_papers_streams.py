"""The study of how many streams a net needs, in its quick mode."""

import pytest
from studies import quick


@pytest.mark.slow
def test_quick_mode(tmp_path):
    quick("streams", tmp_path, "--seeds", "1")
