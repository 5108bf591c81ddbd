"""A run as it lies in its folder."""

import os

import pytest
from made_run import NAMES, make

from fcn.report import command
from fcn.report import run as runs

pytestmark = pytest.mark.slow


def test_the_numbers_are_those_of_the_best_step(tmp_path, written):
    folder = make(tmp_path)
    read = runs.read(folder)
    assert read.best["step"] == 120 and read.classes == NAMES
    assert read.confusion.sum() == 6 * 47 * 64
    assert read.worst_images[0].name == "photo 5 <i>" and read.best_images[0].mean_iu == 1
    _, text = written("net")
    assert f"{100 * read.best['mean_iu']:.1f} %" in text
    row = read.confusion[1]
    share = 100 * row[3] / row.sum()
    assert f"disc found as triangle: {row[3]} pixels, {share:.2f} %" in text


@pytest.mark.parametrize(
    "name, value",
    [
        (name, value)
        for name in ("train.csv", "results.csv")
        for value in ("-1", "x", "0.5", "1" * 30)
    ]
    + [("train.csv", "")],
)
def test_a_step_that_is_none_is_named(tmp_path, capsys, name, value):
    path = os.path.join(make(tmp_path, steps=(40,), count=2), name)
    with open(path) as f:
        lines = f.read().splitlines()
    if value:
        lines[-1] = ",".join([value, *lines[-1].split(",")[1:]])
    else:  # a row that ends early
        lines[-1] = lines[-1].split(",")[0] + "," * lines[-1].count(",")
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    assert command.main([os.path.dirname(path)]) == 1
    assert f"{name} is not what solve.py writes: in row " in capsys.readouterr().err
