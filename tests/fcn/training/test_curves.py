"""curves.png: three panels where there is something to show."""

import os

from PIL import Image

from fcn.training import curves
from fcn.training.curves import draw_curves

STEPS = [{"step": step, "loss_per_pixel": 1 / step} for step in (20, 40, 60)]
SCORES = [
    {"iter": step, "mean_iu": 0.5, "overall_accuracy": 0.7, "iu": [0.5, None]} for step in (40, 60)
]


def panels_of(monkeypatch, *arguments):
    seen = []
    monkeypatch.setattr(curves, "draw", lambda path, panels: seen.extend(panels))
    draw_curves("x.png", *arguments)
    return seen


def test_loss_measures_and_classes_have_a_panel_each(monkeypatch):
    loss, val, classes = panels_of(monkeypatch, STEPS, SCORES, ["a", "b"])
    assert [curve.label for curve in val.curves] == ["mean IU", "pixel accuracy"]
    assert loss.curves[0].xs == [20, 40, 60] and val.curves[0].ys == [0.5, 0.5]
    # What is not known of a class is no point.
    assert [len(curve.xs) for curve in classes.curves] == [2, 0]


def test_many_classes_have_no_panel_and_nothing_is_no_file(monkeypatch, tmp_path):
    scores = [{**row, "iu": [0.5] * 99} for row in SCORES]
    assert len(panels_of(monkeypatch, [], scores, ["c"] * 99)) == 1
    monkeypatch.undo()
    draw_curves(str(tmp_path / "a.png"), [], [], [])
    assert not os.listdir(str(tmp_path))
    draw_curves(str(tmp_path / "a.png"), STEPS, SCORES, ["a", "b"])
    with Image.open(str(tmp_path / "a.png")) as image:
        assert image.width > 300
