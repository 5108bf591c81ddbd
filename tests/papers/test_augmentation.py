"""The study of more pictures by mirroring and jitter, in its quick mode."""

import pytest
from studies import quick


@pytest.mark.slow
def test_quick_mode(camvid, tmp_path):
    quick("augmentation", tmp_path, "--camvid", camvid, "--seeds", "1")
