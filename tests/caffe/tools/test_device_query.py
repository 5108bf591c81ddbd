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
    ("kind", "lacking", "said"),
    [
        ("amx", "", "native (AVX-512, AMX)"),
        ("avx512", "", "native (AVX-512); not amx: the processor lacks amx_tile"),
        ("avx2", "", "native (AVX2); not amx: the processor lacks amx_tile"),
        ("", "the processor lacks avx2", "PyTorch's; not native: the processor lacks avx2"),
    ],
)
def test_it_tells_which_kernels_the_cpu_runs(capfd, monkeypatch, kind, lacking, said):
    assert not kind or kind in native.KINDS
    monkeypatch.setattr(native, "kind", lambda: kind)
    monkeypatch.setattr(native, "why_not", lambda: lacking)
    slower = ("not amx: the processor lacks amx_tile",) if kind not in ("amx", "") else ()
    monkeypatch.setattr(native, "passed_over", lambda: slower)
    assert call("device_query") == 0
    assert messages(capfd)[0].split(maxsplit=2)[2] == said
