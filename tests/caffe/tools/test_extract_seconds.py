"""extract_seconds: one number for each line of a log that has an iteration."""

import pytest

from caffe.cli import main
from caffe.errors import DataError
from caffe.tools.extract_seconds import extract_seconds

LOG = """\
I1231 23:59:58.500000   77 solver.cpp:289] Solving net
I1231 23:59:58.750000   77 solver.cpp:347] Iteration 0, Testing net (#0)
I1231 23:59:59.500000   77 solver.cpp:414]     Test net output #0: accuracy = 0.25
I0101 00:00:00.500000   77 solver.cpp:239] Iteration 2 (2 iter/s, 1s/2 iters), loss = 1
"""


def test_seconds_go_on_over_new_year(tmp_path):
    (tmp_path / "log").write_text(LOG)
    assert main(["extract_seconds", str(tmp_path / "log"), str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_text() == "0.250000\n2.000000\n"


def test_what_is_no_log_is_an_error_and_leaves_nothing(tmp_path, capsys):
    (tmp_path / "log").write_text("Iteration 1\n")
    for log, out in (("log", "out"), ("gone", "out")):
        assert main(["extract_seconds", str(tmp_path / log), str(tmp_path / out)]) == 1
        assert str(tmp_path / log) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="Solving"):
        extract_seconds([])


def test_the_log_is_not_replaced(tmp_path, capsys):
    (tmp_path / "log").write_text(LOG)
    assert main(["extract_seconds", str(tmp_path / "log"), str(tmp_path / "log")]) == 1
    assert (tmp_path / "log").read_text() == LOG
    assert main(["extract_seconds"]) == 1 and "usage" in capsys.readouterr().out
