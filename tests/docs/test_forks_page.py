"""docs/forks.md holds what the engine's tables say today."""

import importlib.util
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def page():
    with open(os.path.join(ROOT, "docs", "forks.md"), encoding="utf-8") as f:
        return f.read()


@pytest.mark.skipif(sys.version_info < (3, 10), reason="the engine needs Python 3.10")
def test_the_page_is_fresh(capsys):
    path = os.path.join(ROOT, "docs", "make_forks.py")
    spec = importlib.util.spec_from_file_location("make_forks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.main(["--check"]) == 0, capsys.readouterr().out


def test_each_type_and_field_of_the_tables_is_on_it():
    from caffe.layer import extensions
    from caffe.prototxt import foreign, forks

    text = page()
    for name in extensions.type_list():
        assert f"\n### {name}\n" in text and f"](#{name.lower()})" in text
    for name in forks.WHY:
        assert f"`{name}`" in text
    for row in foreign.FIELDS:
        assert all(f"`{name}`" in text for name in row.names)


def test_settings_have_their_defaults_and_what_they_mean():
    text = page()
    assert "| `nms_threshold` | number | 0.3 | of intersection over union |" in text
    assert "| `flip` | true or false | true | also 1 / ratio |" in text
    assert "| `code_type` | CORNER, CENTER_SIZE, CORNER_SIZE | CORNER |" in text
    assert "| `label_type` |" in text  # a field of a message of BVLC's
