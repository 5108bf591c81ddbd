"""What is printed goes to the screen and into the file; a bar to the screen alone."""

import io
import sys

import pytest

from fcn.training.log import Log
from fcn.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_print_goes_to_both_and_an_error_into_the_file(tmp_path, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    path = tmp_path / "log.txt"
    path.write_text("before\n")
    with pytest.raises(ValueError):
        with Log() as log:
            print("one ö")
            assert path.read_text() == "before\n"
            log.keep(str(path))
            raise ValueError("two")
    assert sys.stdout is screen
    assert screen.getvalue() == "one ö\n"
    assert path.read_text(encoding="utf-8") == "before\none ö\nerror: two\n"


def test_a_bar_is_not_in_the_file_but_its_lines_are(tmp_path, monkeypatch):
    screen, told = Terminal(), []
    monkeypatch.setattr(sys, "stdout", screen)
    with Log() as log:
        log.keep(str(tmp_path / "log.txt"))
        progress = Progress(0, 3, every=2, told=lambda *values: told.append(values))
        for step in (1, 2, 3):
            progress.step(step, lambda: (2.0, 0.5), 1, 0.1, 0.01)
        progress.pause()
    text = (tmp_path / "log.txt").read_text()
    assert "\r" in screen.getvalue() and "\r" not in text
    assert [line.split(",")[0] for line in text.splitlines()] == ["Iteration 2", "Iteration 3"]
    assert told == [(2, 2.0, 0.5, 0.01), (3, 2.0, 0.5, 0.01)]


def test_a_folder_in_its_place_is_told_and_ends_nothing(tmp_path, capsys):
    with Log() as log:
        log.keep(str(tmp_path))
        print("on")
    out, err = capsys.readouterr()
    assert out == "on\n" and "cannot be written" in err
