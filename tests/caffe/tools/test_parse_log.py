"""parse_log on both forms of Caffe's display lines."""

import csv

import pytest
from brew_files import call

from caffe.errors import DataError
from caffe.tools import parse_log

NEW = """\
I1231 23:59:58.500000   77 solver.cpp:289] Solving net
I1231 23:59:58.750000   77 solver.cpp:347] Iteration 0, Testing net (#0)
I1231 23:59:59.500000   77 solver.cpp:414]     Test net output #0: accuracy = 0.25
I1231 23:59:59.500000   77 solver.cpp:414]     Test net output #1: loss = 2.5 (* 1 = 2.5 loss)
I1231 23:59:59.500000   77 solver.cpp:239] Iteration 0 (5e-10 iter/s, 0s/2 iters), loss = 3
I1231 23:59:59.500000   77 solver.cpp:258]     Train net output #0: loss = 2.75 (* 1 = 2.75 loss)
I1231 23:59:59.600000   77 sgd_solver.cpp:112] Iteration 0, lr = 0.1
not a line of the log
I0101 00:00:00.500000   77 solver.cpp:239] Iteration 2 (2 iter/s, 1s/2 iters), loss = 1
I0101 00:00:00.500000   77 solver.cpp:258]     Train net output #0: loss = 1.5e-05 (* 1 = 2 loss)
I0101 00:00:00.600000   77 sgd_solver.cpp:112] Iteration 2, lr = 1e-05
I0101 00:00:01.500000   77 solver.cpp:327] Iteration 4, loss = 1
I0101 00:00:01.500000   77 solver.cpp:347] Iteration 4, Testing net (#0)
I0101 00:00:02.500000   77 solver.cpp:414]     Test net output #0: accuracy = 0.5
I0101 00:00:02.500000   77 solver.cpp:414]     Test net output #1: loss = nan (* 1 = nan loss)
"""


def read(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_tables(tmp_path, capsys):
    log = tmp_path / "run.log"
    log.write_text(NEW)
    assert parse_log.main([str(log), str(tmp_path), "--verbose"]) == 0
    train, test = read(tmp_path / "run.log.train"), read(tmp_path / "run.log.test")
    assert list(train[0]) == ["NumIters", "Seconds", "LearningRate", "loss"]
    assert list(test[0]) == ["NumIters", "Seconds", "LearningRate", "accuracy", "loss"]
    assert [list(map(float, row.values())) for row in train] == [
        [0, 1, 0.1, 2.75],
        [2, 2, 1e-5, 1.5e-5],
    ]
    assert [list(map(float, row.values()))[:4] for row in test] == [
        [0, 1, 0.1, 0.25],
        [4, 4, 1e-5, 0.5],
    ]
    assert test[1]["loss"] == "nan"
    assert "run.log.train" in capsys.readouterr().out


def test_the_old_form_gives_the_same_tables():
    old = NEW.replace(" (5e-10 iter/s, 0s/2 iters)", "").replace(" (2 iter/s, 1s/2 iters)", "")
    assert old.count("iter/s") == 0
    for a, b in zip(parse_log.parse_log(old.splitlines()), parse_log.parse_log(NEW.splitlines())):
        assert a.columns == b.columns and str(a.rows) == str(b.rows)


def test_an_output_of_several_values_has_several_columns():
    lines = NEW.replace("#1: loss", "#1: accuracy").splitlines()
    _, test = parse_log.parse_log(lines)
    assert test.columns[3:] == ["accuracy", "accuracy_1"]
    assert test.rows[0]["accuracy_1"] == 2.5


def test_the_delimiter_and_errors(tmp_path, capsys):
    log = tmp_path / "log"
    log.write_text(NEW)
    assert parse_log.main([str(log), str(tmp_path), "--delimiter", ";"]) == 0
    assert (tmp_path / "log.train").read_text().startswith("NumIters;Seconds;")
    assert parse_log.main([str(log)]) == 1
    assert "usage: parse_log" in capsys.readouterr().out
    with pytest.raises(DataError, match="log.txt: no glog line with 'Solving'"):
        parse_log.parse_log(["I1231 23:59:58.500000 77 x.cpp:1] Iteration 0"], "log.txt")


def test_parse_log_sh_writes_columns_of_fixed_names(tmp_path, monkeypatch):
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "run.log"
    log.write_text(NEW)
    monkeypatch.chdir(tmp_path)
    assert parse_log.shell([str(log)]) == 0
    train = (tmp_path / "run.log.train").read_text().splitlines()
    assert train[0].split() == ["#Iters", "Seconds", "TrainingLoss", "LearningRate"]
    assert [line.split() for line in train[1:]] == [
        ["0", "1", "2.75", "0.1"],
        ["2", "2", "1.5e-05", "1e-05"],
    ]
    test = (tmp_path / "run.log.test").read_text().splitlines()
    assert test[0].split() == ["#Iters", "Seconds", "TestAccuracy", "TestLoss"]
    assert [line.split() for line in test[1:]] == [
        ["0", "1", "0.25", "2.5"],
        ["4", "4", "0.5", "nan"],
    ]
    assert parse_log.shell([]) == 1


def test_parse_log_reads_what_train_writes(brew_folder, capfd):
    assert call("train -solver solver.prototxt") == 0
    (brew_folder / "log").write_text(capfd.readouterr().err)
    assert call("parse_log log .") == 0
    rows = (brew_folder / "log.train").read_text().splitlines()
    assert rows[0] == "NumIters,Seconds,LearningRate,loss" and len(rows) == 4
    assert [row.split(",")[2] for row in rows[1:]] == ["0.1"] * 3


def test_parse_log_of_a_file_that_is_not_there(brew_folder, capfd):
    assert call("parse_log nothing.log .") == 1
    assert "cannot read the log nothing.log: No such file" in capfd.readouterr().err
