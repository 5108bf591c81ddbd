"""The parts of a report about one run."""

import json
import os

import pytest
from made_run import make
from report_pages import tags

pytestmark = pytest.mark.slow


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
