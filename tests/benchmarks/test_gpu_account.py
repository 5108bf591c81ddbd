"""benchmarks/gpu_account.py reads every operator that it counts; docs/gpu.md has its table."""

import importlib.util
import os

import pytest
from fcn_helpers import ROOT


@pytest.fixture(scope="module")
def account():
    path = os.path.join(ROOT, "benchmarks", "gpu_account.py")
    spec = importlib.util.spec_from_file_location("gpu_account", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_timed_layers_are_read(account):
    for mode in account.MEASURED:
        layers, _ = account.timed(mode)
        named = ["conv1_1", *(f"conv{k}_2" for k in range(1, 6)), "fc6", "fc7"]
        assert list(layers) == named
        assert all(len(row) == 4 and min(row) > 0 for row in layers.values())
    assert account.timed("tf32")[0]["fc6"] == (0.873, 1.576, 0.404, 0.030)


def test_short_maps_only_take_off(account):
    for mode in account.MEASURED:
        for part, (whole, short) in account.parts(mode).items():
            assert 0 <= short <= whole, part
    assert account.parts("tf32")["fc6, three products"][0] == pytest.approx(0.873 + 1.576 + 0.404)


def test_the_page_has_the_table(account):
    with open(os.path.join(ROOT, "docs", "gpu.md"), encoding="utf-8") as page:
        assert account.table() in page.read()
