"""The log of a command goes to a file too, and can be silenced."""

import os

import pytest
from brew_files import call

pytestmark = pytest.mark.usefixtures("brew_folder")


def test_the_log_goes_to_a_file_too(brew_folder, capfd):
    assert call("train -solver solver.prototxt --log_dir=. --logtostderr=1") == 0
    files = [name for name in os.listdir() if ".log.INFO." in name]
    assert len(files) == 1 and os.readlink("caffe.INFO") == files[0]
    text = (brew_folder / files[0]).read_text()
    assert text.startswith("Log file created at: ")
    assert text.split("threadid file:line] msg\n")[1] == capfd.readouterr().err


def test_quiet(capfd):
    assert call("train -solver solver.prototxt -minloglevel 1") == 0
    assert capfd.readouterr().err == ""
