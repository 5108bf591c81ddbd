"""The page of results: made from the raw numbers, and up to date."""

import json
import os

import pytest
from fcn_helpers import ROOT, raised

from papers import _common, publish


@pytest.fixture
def here():
    before = os.getcwd()
    os.chdir(ROOT)
    yield
    os.chdir(before)


def test_the_page_agrees_with_the_raw_numbers(here):
    records = publish.raw()
    assert records
    text = publish.read_page()
    assert publish.page(text, records) == text


def test_every_published_picture_is_there_and_no_other(here):
    named = {plot["file"] for fields in publish.raw().values() for plot in fields["plots"]}
    assert named == set(os.listdir(publish.IMAGES))


def test_no_quick_run_is_published(here):
    assert not any(fields["quick"] for fields in publish.raw().values())


def record(tmp_path, **options):
    args = _common.arguments("Test.", {}, ["--out", str(tmp_path)] + options.pop("more", []))
    made = _common.Record("example", "Example", "paper §1", args)
    made.table(["", "mean IU"], [["one", 0.5], ["two", "61.2"]], "Caption")
    made.write()
    return made.fields


def test_a_block_is_replaced_and_prose_kept(here, tmp_path):
    fields = record(tmp_path)
    text = "# Title\n\n<!-- example -->\nold\n<!-- end -->\n\nProse.\n"
    found = publish.page(text, {"example": fields})
    assert found.startswith("# Title\n\n<!-- example -->\nCaption:\n\n|  | mean IU |")
    assert "| one | 0.5 |\n| two | 61.2 |" in found
    assert "old" not in found and found.endswith("<!-- end -->\n\nProse.\n")


def test_a_record_without_a_block_is_named_and_the_reverse(here, tmp_path):
    fields = record(tmp_path)
    assert "no block for example" in raised(LookupError, publish.page, "", {"example": fields})
    assert "'other'" in raised(LookupError, publish.page, "<!-- other -->\n<!-- end -->", {})


def test_quick_results_are_refused(here, tmp_path):
    record(tmp_path, more=["--quick"])
    assert "--quick" in raised(ValueError, publish.collect, str(tmp_path), {})


def test_the_record_holds_command_engine_and_date(here, tmp_path):
    fields = record(tmp_path)
    with open(os.path.join(str(tmp_path), "example.json"), encoding="utf-8") as f:
        assert json.load(f) == fields
    assert fields["command"] == "python papers/example.py"
    assert fields["engine"] and len(fields["date"]) == 10
