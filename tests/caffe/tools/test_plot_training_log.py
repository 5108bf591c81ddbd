"""plot_training_log: BVLC's chart types, and any output by name."""

import pytest
from PIL import Image

from caffe.cli import main
from caffe.errors import DataError
from caffe.tools import plot_training_log

LOG = """\
I0101 00:00:00.000000   77 solver.cpp:289] Solving net
I0101 00:00:00.500000   77 solver.cpp:347] Iteration 0, Testing net (#0)
I0101 00:00:00.500000   77 solver.cpp:414]     Test net output #0: top1/accuracy = 0.25
I0101 00:00:01.000000   77 solver.cpp:239] Iteration 0, loss = 3
I0101 00:00:01.000000   77 solver.cpp:258]     Train net output #0: loss = 2.75 (* 1 = 2.75 loss)
I0101 00:00:01.000000   77 sgd_solver.cpp:112] Iteration 0, lr = 0.1
I0101 00:00:02.000000   77 solver.cpp:239] Iteration 2, loss = 1
I0101 00:00:02.000000   77 solver.cpp:258]     Train net output #0: loss = 1.5 (* 1 = 1.5 loss)
I0101 00:00:02.000000   77 sgd_solver.cpp:112] Iteration 2, lr = 0.05
"""


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "run.log"
    path.write_text(LOG)
    return str(path)


def test_the_points_of_every_type(log):
    found = [
        plot_training_log.points(log, *row[1:]) if row[2] != "loss" or row[1] == "train" else None
        for row in plot_training_log.TYPES
    ]
    assert found == [
        ([0], [0.25]),
        ([0.5], [0.25]),
        None,
        None,
        ([0, 2], [0.1, 0.05]),
        ([1, 2], [0.1, 0.05]),
        ([0, 2], [2.75, 1.5]),
        ([1, 2], [2.75, 1.5]),
    ]
    with pytest.raises(DataError, match="no test output 'loss'; it has .*top1/accuracy"):
        plot_training_log.points(log, "test", "loss", "Seconds")


@pytest.mark.slow
def test_a_chart_of_two_logs_is_written(log, tmp_path):
    pytest.importorskip("matplotlib", reason="needs pycaffe-torch[plot]")
    (tmp_path / "other.log").write_text(LOG)
    out = tmp_path / "chart.png"
    assert main(["plot_training_log", "6", str(out), log, str(tmp_path / "other.log")]) == 0
    with Image.open(out) as image:
        assert len(image.convert("L").getcolors()) > 10
    assert main(["plot_training_log", "test:top1/accuracy", str(out), log]) == 0


@pytest.mark.parametrize("words", [["8", "c.png"], ["loss", "c.png"], ["6", "c.jpeg2"]])
def test_a_wrong_call_is_one_line(words, log, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plot_training_log", *words, log]) == 1
    assert "expected" in capsys.readouterr().err and not list(tmp_path.glob("c.*"))
