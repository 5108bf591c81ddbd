"""A report as the command writes it."""

import os
import re

import pytest

import bootstrap
from fcn.report import command


@pytest.fixture
def written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "START", str(tmp_path))

    def write(*given):
        assert command.main(list(given)) == 0, capsys.readouterr()
        path = re.search(r"wrote (.*), [\d.]+ MB", capsys.readouterr().out).group(1)
        with open(os.path.join(str(tmp_path), path), encoding="utf-8") as f:
            return path, f.read()

    return write
