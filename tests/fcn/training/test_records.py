"""The tables of a run: whole rows, each once, cut where a run goes on."""

import json
import os

import numpy as np
import pytest

from fcn.errors import StartError
from fcn.scoring import results
from fcn.training.records import Records, read_rows, step_name

NAMES = {"label": ["background", "cat, tabby"], "geo": ["up", "down"]}


def line(run, step, iu, label="label"):
    return dict(
        run=run, output=label, iter=step, loss=0.5, rate=None, mean_iu=iu, iu=[iu, None], seconds=1
    )


@pytest.fixture
def made(tmp_path):
    """(records of a run "a" with two scorings and three rows, its folder)"""
    folder = tmp_path / "ö" / "net"
    log = str(tmp_path / "ö" / "net.jsonl")
    records = Records(str(folder), log, NAMES)
    records.begin("a", {"seed": 1, "versions": {"python": "3"}})
    for step in (20, 40, 60):
        records.step(step, step / 8, 0.25, 0.1 if step > 20 else None)
    for step in (30, 60):
        results.append(log, line("a", step, step / 80))
        results.append(log, line("a", step, step / 80, "geo"))
        records.write_confusion(step, "label", np.array([[3, 1], [0, 2]]))
        os.makedirs(folder / "samples" / "1-x", exist_ok=True)
        (folder / "samples" / "1-x" / (step_name(step) + ".png")).write_bytes(b"")
    results.append(log, line("b", 10, 0.9))
    records.write_results()
    return records, folder


def test_results_hold_the_runs_own_scores(made):
    records, folder = made
    text = (folder / "results.csv").read_text(encoding="utf-8").splitlines()
    assert text[0].startswith("step,loss,rate,mean_iu,") and text[0].endswith(
        ',iu_background,"iu_cat, tabby"'
    )
    assert [row["step"] for row in read_rows(str(folder / "results.csv"))] == [30, 60]
    assert read_rows(str(folder / "results.csv"))[1]["mean_iu"] == 0.75
    assert read_rows(str(folder / "results.csv"))[1]["iu_cat, tabby"] is None
    assert [row["iu_up"] for row in read_rows(str(folder / "results_geo.csv"))] == [0.375, 0.75]
    confusion = (folder / "scored" / step_name(60) / "confusion.csv").read_text()
    assert confusion.splitlines()[1] == "background,3,1"


def test_a_resumed_run_has_each_row_once(made):
    records, folder = made
    with open(folder / "train.csv", "a") as f:
        f.write("80,9,")  # killed in the middle of a row
    results.forget_after(records.log, "a", 45)
    again = Records(str(folder), records.log, NAMES)
    again.resume("a", 45, {"seed": 7, "versions": {"python": "4"}, "time": "now"})
    assert [row["step"] for row in read_rows(str(folder / "train.csv"))] == [20, 40]
    again.step(60, 1.0, 0.5, 0.1)
    rows = read_rows(str(folder / "train.csv"))
    assert [row["step"] for row in rows] == [20, 40, 60] and rows[0]["rate"] is None
    assert rows[0]["loss"] == 2.5 and rows[2]["loss"] == 1
    assert [row["step"] for row in read_rows(str(folder / "results.csv"))] == [30]
    assert os.listdir(folder / "scored") == [step_name(30)]
    assert os.listdir(folder / "samples" / "1-x") == [step_name(30) + ".png"]
    facts = json.loads((folder / "run.json").read_text())
    assert facts["seed"] == 1 and facts["versions"] == {"python": "3"}
    assert facts["resumed"] == [{"time": "now", "versions": {"python": "4"}, "step": 45}]


def test_what_a_new_run_replaces_stays_until_it_has_a_snapshot(made):
    records, folder = made
    before = (folder / "results.csv").read_bytes()
    for run in ("c", "d"):  # the first of them ends before its snapshot
        new = Records(str(folder), records.log, NAMES)
        new.begin(run, {})
        assert not (folder / "results.csv").exists()
        assert (folder / "earlier" / "results.csv").read_bytes() == before
    # There is no snapshot but that of "a", which therefore goes on.
    old = Records(str(folder), records.log, NAMES)
    old.resume("a", 60, {})
    assert (folder / "results.csv").read_bytes() == before
    assert not (folder / "earlier").exists() and old.facts()["run"] == "a"
    new.begin("e", {})
    new.settled()
    assert not (folder / "earlier").exists()


def test_a_run_of_before_there_were_records_goes_on(tmp_path):
    records = Records(str(tmp_path / "net"), str(tmp_path / "net.jsonl"), NAMES)
    records.resume("a", 10, {"seed": 3})
    records.step(20, 1.0, 1.0, None)
    assert records.facts()["seed"] == 3
    assert [row["step"] for row in read_rows(records.path("train.csv"))] == [20]


def test_damaged_facts_count_as_none(tmp_path):
    records = Records(str(tmp_path), str(tmp_path / "x.jsonl"), NAMES)
    for text in ("", "[1]", "{"):
        (tmp_path / "run.json").write_text(text)
        assert records.facts() is None


@pytest.mark.parametrize("text", [b"step,loss\n1,\xff\n", b"step\n" + b"9" * 200000 + b"\n"])
def test_a_table_that_is_none_is_named(tmp_path, text):
    (tmp_path / "train.csv").write_bytes(text)
    with pytest.raises(StartError, match="train.csv is no table that solve.py writes"):
        read_rows(str(tmp_path / "train.csv"))


def test_names_of_images_are_no_numbers(tmp_path):
    """CamVid's 0016E5_00390 is infinite to float(), and 007 would lose its zeros."""
    path = str(tmp_path / "images.csv")
    with open(path, "w", encoding="utf-8") as file:
        file.write("image,mean_iu\n0016E5_00390,0.5\n007,1\n")
    rows = read_rows(path)
    assert [row["image"] for row in rows] == ["0016E5_00390", "007"]
    assert [row["mean_iu"] for row in rows] == [0.5, 1]
