"""TensorBoard's files hold each value once, however often a run was interrupted."""

import os

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("tensorboard", reason="needs the extra [tensorboard]")
pytest.importorskip("torch")

from fcn.training.board import Board

NAMES = ["a", "b"]


def read(folder):
    """{tag: [(step, value)]} and the tags of pictures."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        found = EventAccumulator(str(folder))
        found.Reload()
    tags = found.Tags()
    return (
        {tag: [(e.step, round(e.value, 4)) for e in found.Scalars(tag)] for tag in tags["scalars"]},
        tags["images"],
    )


def score(step, iu):
    return dict(iter=step, loss=0.5, mean_iu=iu, iu=[iu, None])


def test_a_run_that_goes_on_has_each_value_once(tmp_path):
    folder, sheet = tmp_path / "board", str(tmp_path / "samples.jpg")
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(sheet)
    rows = [dict(step=step, loss=1.0, loss_per_pixel=0.5, rate=0.1) for step in (20, 40)]
    board = Board(str(folder))
    board.begin(rows, [score(30, 0.25)], NAMES, sheet)
    board.step(60, 3.0, 1.5, None)
    board.score(score(60, 0.5), NAMES, sheet)
    board.close()
    values, pictures = read(folder)
    assert values["train/loss"] == [(20, 1), (40, 1), (60, 3)]
    assert values["train/rate"] == [(20, 0.1), (40, 0.1)]
    assert values["val/mean_iu"] == values["iu/a"] == [(30, 0.25), (60, 0.5)]
    assert "iu/b" not in values and pictures == ["samples"]

    again = Board(str(folder))
    again.begin(rows, [score(30, 0.25)], NAMES)
    again.step(60, 2.0, 1.0, 0.1)
    again.close()
    assert len(os.listdir(folder)) == 1
    assert read(folder)[0]["train/loss"] == [(20, 1), (40, 1), (60, 2)]


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    import importlib

    from fcn.errors import StartError

    def missing(name):
        raise ImportError("No module named 'tensorboard'")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(StartError, match=r"pip install tensorboard"):
        Board(str(tmp_path))
