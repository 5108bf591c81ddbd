"""BVLC's python/train.py: its arguments as those of `caffe train`."""

import pytest

from caffe import cli
from caffe.tools.train_script import main


@pytest.mark.parametrize(
    "given, words",
    [
        ("--solver s", "train -solver s -gpu 0"),
        ("--solver s --gpus 0 2", "train -solver s -gpu 0,2"),
        ("--solver s --snapshot a.solverstate", "train -solver s -gpu 0 -snapshot a.solverstate"),
    ],
)
def test_arguments_are_handed_on_with_the_status(monkeypatch, given, words):
    calls = []
    monkeypatch.setattr(cli, "main", lambda argv: calls.append(argv) or 3)
    assert main(given.split()) == 3
    assert calls == [words.split()]


@pytest.mark.parametrize(
    "given, told", [("", "--solver"), ("--solver s --timing", "`caffe time -model NET` tells")]
)
def test_what_it_does_not_do_is_said(capsys, given, told):
    with pytest.raises(SystemExit) as stop:
        main(given.split())
    assert stop.value.code == 2 and told in capsys.readouterr().err
