"""`caffe device_query`."""

import pytest
from brew_files import call, messages

from caffe import native

pytestmark = pytest.mark.usefixtures("brew_folder")


def test_device_query_without_gpu(capfd):
    assert call("device_query") == 0
    kernels, querying = messages(capfd)
    assert querying == "Querying GPUs "
    assert kernels.startswith("CPU kernels: ")


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("", "native (AVX-512, AMX)"),
        ("the processor lacks amx_tile", "PyTorch's; not native: the processor lacks amx_tile"),
    ],
)
def test_it_tells_which_kernels_the_cpu_runs(capfd, monkeypatch, lacking, said):
    monkeypatch.setattr(native, "why_not", lambda: lacking)
    assert call("device_query") == 0
    assert messages(capfd)[0].split(maxsplit=2)[2] == said
