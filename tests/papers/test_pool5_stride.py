"""The study of a finer stride of the coarsest features, in its quick mode."""

import pytest
from studies import quick


@pytest.mark.slow
def test_quick_mode(tmp_path):
    quick("pool5_stride", tmp_path, "--seeds", "1")
