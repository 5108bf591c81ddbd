"""The commands told after a run are those that go on from it."""

import os
import shlex

from fcn import catalog
from fcn.training.next_steps import commands
from fcn.weights import find

TOY = catalog.experiment("toy-fcn32s")


def told(row=TOY, out=None, data=None):
    out = find.out_of(row) if out is None else out
    best = os.path.join(out, row.name + "-best.caffemodel")
    return commands(row, out, best, "out/" + row.name, data)


def test_from_where_the_usual_files_are_nothing_is_named():
    score, infer, report = told()
    assert score.endswith("score.py toy-fcn32s")
    assert infer.endswith("infer.py photo.jpg --net toy-fcn32s")
    assert report.endswith("report.py out/toy-fcn32s")


def test_other_folders_are_quoted(tmp_path):
    out = str(tmp_path / "my results")
    score, infer, _ = told(out=out, data=["my data"])
    words = shlex.split(score)
    assert words[-1] == out and words[-2] == "--out"
    assert words[words.index("--data") + 1].endswith("my data")
    assert shlex.split(infer)[-2:] == [
        "--weights",
        os.path.join(out, TOY.name + "-best.caffemodel"),
    ]


def test_no_photo_is_labelled_where_a_photo_is_no_input():
    row = catalog.experiment("nyud-fcn32s-hha")
    assert not row.dataset.photo
    assert [shlex.split(line)[1].rsplit("/")[-1] for line in told(row)] == ["score.py", "report.py"]


def test_a_net_in_a_folder_with_a_blank_is_quoted(tmp_path):
    row = TOY._replace(folder=str(tmp_path / "my net"))
    for command in told(row)[:2]:
        assert str(tmp_path / "my net") in shlex.split(command), command
