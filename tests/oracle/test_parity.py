"""docs/parity.md: what the rows say reaches the page, differences included."""

import parity
import pytest
import rows


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
