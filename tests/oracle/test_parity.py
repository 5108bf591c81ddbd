"""docs/parity.md: what the rows say reaches the page, differences included."""

import importlib
import os

import fcn_tests
import parity
import pycaffe_both
import pytest
import rows
from root import CHECKOUT


def recorded(tmp_path, monkeypatch):
    path = tmp_path / "rows"
    monkeypatch.setenv(rows.VARIABLE, str(path))
    rows.add("Layer types", "ReLU", 40, 0, 0.25, "forward, backward")
    rows.add("Layer types", "LSTM", 40, 2, 7.5)
    rows.add("Tools", "caffe train", 3, 0)
    return rows.read(str(path))


def test_the_page_counts_agreeing_types_and_all_cases(tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "NOTES", {"LSTM": "as the notes say"})
    text = parity.page(recorded(tmp_path, monkeypatch), ["LSTM", "ReLU", "SPP"])
    assert "layer types of BVLC Caffe: 3; without a difference beyond tolerance: 1" in text
    assert "cases in all: 83; differing: 2" in text
    assert "| ReLU | 40 | 0 | 0.25 | forward, backward |" in text
    assert "| LSTM | 40 | 2 | 7.5 | as the notes say |" in text
    assert text.index("## Layer types") < text.index("## Tools")
    assert "## Logs" not in text


def test_nothing_is_written_unless_asked(tmp_path, monkeypatch):
    monkeypatch.delenv(rows.VARIABLE, raising=False)
    rows.add("Tools", "caffe train", 3, 0)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_section_is_an_error():
    with pytest.raises(ValueError, match="no section 'Layers'; sections: Layer types"):
        rows.add("Layers", "ReLU", 40, 0)


@pytest.mark.parametrize("script", parity.SCRIPTS)
def test_every_path_that_a_comparison_names_exists(script):
    """Tests and scripts that move take the paths here with them."""
    module = importlib.import_module(script[: -len(".py")])
    paths = [
        value
        for name, value in vars(module).items()
        if name.isupper() and str(value).startswith(CHECKOUT + os.sep)
    ]
    if module is pycaffe_both:
        paths += [os.path.join(module.FOLDER, name) for name in module.TESTS]
    if module is fcn_tests:
        names = [*module.ELSEWHERE, *(name for _, tests in module.PARTS for name in tests)]
        paths += [os.path.join(CHECKOUT, name) for name in names]
    assert [path for path in paths if not os.path.exists(path)] == []
