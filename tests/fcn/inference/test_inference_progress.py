"""How far a long job is, on a terminal and off it."""

import io
import sys

import pytest

from fcn.inference.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(monkeypatch, stream, total=3):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = Progress(total, "image", out)
    for number in range(total):
        progress.say(f"said {number}")
        progress.step()
    progress.close()
    return out.getvalue(), stream.getvalue()


def test_a_bar_where_tqdm_is_installed(monkeypatch):
    pytest.importorskip("tqdm", reason="the bar needs the package tqdm (extra: progress)")
    monkeypatch.setenv("COLUMNS", "80")
    said, shown = run(monkeypatch, Terminal())
    assert said == "said 0\nsaid 1\nsaid 2\n" and "3/3" in shown


def test_a_counter_without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert run(monkeypatch, Terminal())[1] == "\rimage 1 of 3\rimage 2 of 3\rimage 3 of 3\n"


def test_nothing_where_nobody_looks_or_there_is_one_image(monkeypatch):
    assert run(monkeypatch, io.StringIO()) == ("said 0\nsaid 1\nsaid 2\n", "")
    assert run(monkeypatch, Terminal(), 1) == ("said 0\n", "")
