"""The study of whole images against sampled parts, in its quick mode."""

import pytest
from studies import quick


@pytest.mark.slow
def test_quick_mode(tmp_path):
    quick("whole_images", tmp_path, "--seeds", "1")
