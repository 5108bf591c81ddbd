"""What the tests of data preparation share."""

import pytest


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty directory in the place of the repository's root."""
    (tmp_path / "root").mkdir()
    monkeypatch.chdir(tmp_path / "root")
    return tmp_path / "root"
