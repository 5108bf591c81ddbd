"""`caffe device_query`."""

import pytest
from brew_files import call, messages

pytestmark = pytest.mark.usefixtures("brew_folder")


def test_device_query_without_gpu(capfd):
    assert call("device_query") == 0
    assert messages(capfd) == ["Querying GPUs "]
