"""A net to draw."""

import pytest
from drawn_net import NET


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return str(path)
