"""The page of a report: one file that needs nothing else."""

import pytest
from made_run import make
from report_pages import tags

pytestmark = pytest.mark.slow


def test_nothing_comes_from_elsewhere_and_markup_in_names_is_shown(tmp_path, written):
    make(tmp_path)
    _, text = written("net")
    seen = tags(text)
    assert not [tag for tag, _ in seen if tag in ("script", "link", "iframe", "object", "b script")]
    for _, attributes in seen:
        for key in ("src", "href"):
            value = attributes.get(key, "#")
            assert value.startswith(("#", "data:")), value
    assert "&lt;b&gt;star &amp; co&lt;/b&gt;" in text and "<b>star" not in text
    assert "photo 0 &lt;i&gt;" in text and "<script>" not in text
    assert "url(" not in text and "@import" not in text


@pytest.mark.slow
def test_several_runs_are_side_by_side(tmp_path, written):
    make(tmp_path / "a", "one")
    make(tmp_path / "b", "one", seed=1)
    path, text = written("a/one", "b/one")
    assert path == "report.html"
    tags(text)
    assert "2 runs" in text and "one (a/one)" in text and "one (b/one)" in text
    assert "IU of each class</h3>" in text and 'id="run2-confusion"' in text
