"""docs/api.md holds today's docstrings of the public names."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.mark.skipif(
    not (3, 10) <= sys.version_info[:2] <= (3, 12), reason="inspect words signatures otherwise"
)
def test_the_page_is_fresh():
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "docs", "make_api.py"), "--check"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_what_a_user_calls_is_on_the_page():
    with open(os.path.join(ROOT, "docs", "api.md"), encoding="utf-8") as file:
        page = file.read()
    for name in ("caffe.Net(", "Net.forward(", "Blob.reshape(", "caffe.set_mode_gpu(", "io.Trans"):
        assert f"`{name}" in page or f"`caffe.{name}" in page, name
