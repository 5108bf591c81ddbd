"""report.py: which run is meant, where the page goes, damaged tables."""

import os

import pytest
from made_run import make

import bootstrap
from fcn.errors import StartError
from fcn.report import command
from fcn.report import run as runs

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_runs_are_found_by_the_folders_that_people_name(tmp_path, monkeypatch):
    run = make(tmp_path / "net" / "out", "net")
    (tmp_path / "net" / "experiment.json").write_text("{}")
    for given in (run, tmp_path / "net", tmp_path / "net" / "out"):
        assert runs.find(str(given)) == run
    monkeypatch.setattr(runs, "OUT", str(tmp_path / "net" / "out"))
    monkeypatch.setattr(bootstrap, "START", str(tmp_path / "elsewhere"))
    assert runs.find("net") == run
    assert command.write([str(tmp_path / "net")]) == str(tmp_path / "net" / "report.html")

    make(tmp_path / "net" / "out", "other")
    with pytest.raises(StartError, match="holds 2 runs, net, other"):
        runs.find(str(tmp_path / "net" / "out"))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "experiment.json").write_text("{}")
    with pytest.raises(StartError, match="not trained yet"):
        runs.find(str(tmp_path / "new"))
    with pytest.raises(StartError, match="no run at 'nothing'"):
        runs.find("nothing")


def test_a_damaged_table_is_named(tmp_path, capsys):
    folder = make(tmp_path)
    with open(os.path.join(folder, "results.csv"), "w") as f:
        f.write("step,what\n1,2\n")
    assert command.main([folder]) == 1
    assert "results.csv is not what solve.py writes" in capsys.readouterr().err
