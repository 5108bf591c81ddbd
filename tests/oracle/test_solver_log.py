"""The engine's training log against BVLC Caffe's, stored by `solver_log.py --write`."""

import json

import pytest
from log_scenarios import SCENARIOS, SKIP
from logs import differences, normalise
from solver_log import GOLDEN, KEPT, excerpt

from caffe import cli, glog

with open(GOLDEN) as stored:
    GOLDEN_LINES = json.load(stored)


def test_every_kept_scenario_is_stored():
    assert set(GOLDEN_LINES) == set(KEPT)


@pytest.mark.parametrize("name", KEPT)
def test_the_log_is_that_of_bvlc_caffe(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(glog._state, "level", 0)
    for file, text in SCENARIOS[name]["files"].items():
        (tmp_path / file).write_text(text)
    for words in SCENARIOS[name]["commands"]:
        assert cli.main(words[1:]) == 0
    ours = excerpt(normalise(capfd.readouterr().err, SKIP))
    assert differences(ours, GOLDEN_LINES[name]) == []


def test_a_wrong_number_and_a_missing_line_are_differences():
    lines = GOLDEN_LINES["multistep"]
    loss = next(line for line in lines if "loss = " in line)
    changed = [line.replace("loss = ", "loss = 1") if line is loss else line for line in lines]
    assert len(differences(changed, lines)) == 1
    assert len(differences(lines[1:], lines)) == 1
    assert differences(lines, lines) == []
