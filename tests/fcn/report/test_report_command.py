"""report.py finds runs, writes a file that needs nothing else, and says what is wrong."""

import html.parser
import json
import os
import re

import numpy as np
import pytest
from made_run import NAMES, make

import bootstrap
from fcn.errors import StartError
from fcn.report import command
from fcn.report import run as runs
from fcn.report.chart import Line, chart
from fcn.report.pictures import wrong_pixels

pytestmark = pytest.mark.slow


class Tags(html.parser.HTMLParser):
    """Every tag that is opened is closed, and in order."""

    EMPTY = ("meta", "img", "br", "circle", "line", "polyline")

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag, tag


def tags(text):
    parser = Tags()
    parser.feed(text)
    assert not parser.open
    return parser.seen


@pytest.fixture
def written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "START", str(tmp_path))

    def write(*given):
        assert command.main(list(given)) == 0, capsys.readouterr()
        path = re.search(r"wrote (.*), [\d.]+ MB", capsys.readouterr().out).group(1)
        with open(os.path.join(str(tmp_path), path), encoding="utf-8") as f:
            return path, f.read()

    return write


@pytest.mark.slow
def test_one_run_is_shown_whole(tmp_path, written):
    make(tmp_path, "größe")
    path, text = written("größe")
    assert path == os.path.join("größe", "report.html")
    seen = tags(text)
    for heading in ("Curves", "Classes", "Confusion", "Worst images", "Best images", "Net"):
        assert f">{heading}</h2>" in text, heading
    pictures = [attributes["src"] for tag, attributes in seen if tag == "img"]
    # Four samples of two and three steps, and four pictures of four images at either end.
    assert len(pictures) == 4 * 5 + 2 * 4 * 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in pictures)
    assert sum(tag == "svg" for tag, _ in seen) == 4
    assert "1:15" in text and "20 + 6" in text and "python: 3" in text


def test_nothing_comes_from_elsewhere_and_markup_in_names_is_shown(tmp_path, written):
    make(tmp_path)
    _, text = written("net")
    seen = tags(text)
    assert not [tag for tag, _ in seen if tag in ("script", "link", "iframe", "object", "b script")]
    for _, attributes in seen:
        for key in ("src", "href"):
            value = attributes.get(key, "#")
            assert value.startswith(("#", "data:")), value
    assert "&lt;b&gt;star &amp; co&lt;/b&gt;" in text and "<b>star" not in text
    assert "photo 0 &lt;i&gt;" in text and "<script>" not in text
    assert "url(" not in text and "@import" not in text


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


@pytest.mark.slow
def test_several_runs_are_side_by_side(tmp_path, written):
    make(tmp_path / "a", "one")
    make(tmp_path / "b", "one", seed=1)
    path, text = written("a/one", "b/one")
    assert path == "report.html"
    tags(text)
    assert "2 runs" in text and "one (a/one)" in text and "one (b/one)" in text
    assert "IU of each class</h3>" in text and 'id="run2-confusion"' in text


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


def test_a_run_without_most_of_its_files_is_shown_as_far_as_it_goes(tmp_path, written):
    import shutil

    folder = make(tmp_path)
    for name in ("scored", "samples"):
        shutil.rmtree(os.path.join(folder, name))
    for name in ("run.json", "train.csv", "deploy.prototxt", "log.txt", "train.prototxt"):
        os.remove(os.path.join(folder, name))
    _, text = written("net")
    tags(text)
    assert "There is no confusion matrix" in text and "No table" in text


def test_a_damaged_table_is_named(tmp_path, capsys):
    folder = make(tmp_path)
    with open(os.path.join(folder, "results.csv"), "w") as f:
        f.write("step,what\n1,2\n")
    assert command.main([folder]) == 1
    assert "results.csv is not what solve.py writes" in capsys.readouterr().err


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


def test_damaged_facts_and_nets_are_left_out(tmp_path, written):
    folder = make(tmp_path, steps=(40,), count=2)
    with open(os.path.join(folder, "run.json")) as f:
        facts = json.load(f)
    facts.update(seconds=float("inf"), palette=[[None, 1, 2]] * 5)
    with open(os.path.join(folder, "run.json"), "w") as f:
        json.dump(facts, f)
    with open(os.path.join(folder, "deploy.prototxt"), "a") as f:
        f.write("}")
    _, text = written("net")
    tags(text)
    assert "training on" not in text and "No table" in text


def test_a_chart_without_numbers_is_left_out():
    assert chart("t", [Line("a", [], [])], "x") == ""
    assert chart("t", [Line("a", [1.0], [float("nan")])], "x") == ""
    assert "polyline" in chart("t", [Line("a", [5.0], [2.0])], "x")


def test_wrong_pixels_are_red_and_void_is_not():
    photo = np.full((1, 3, 3), 100, np.uint8)
    truth, labels = np.array([[1, 1, 255]], np.uint8), np.array([[1, 2, 2]], np.uint8)
    red = wrong_pixels(photo, truth, labels)[0]
    assert (red[0] == red[2]).all() and red[0].min() == red[0].max()
    assert red[1][0] > red[1][1] + 50
