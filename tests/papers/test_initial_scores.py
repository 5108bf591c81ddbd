"""The study of what score layers start from, in its quick mode."""

import pytest
from studies import quick


@pytest.mark.slow
def test_quick_mode(tmp_path):
    quick("initial_scores", tmp_path, "--seeds", "1")
