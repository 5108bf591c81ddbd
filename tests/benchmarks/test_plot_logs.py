"""plot_logs.py: a picture of the losses in a log, or one line that says what is wrong."""

import os

import pytest
from PIL import Image

import bootstrap
from benchmarks import plot_logs

LOG = os.path.join(bootstrap.ROOT, "nets", "camvid-fcn4s-lite0", "training.log")


def test_a_curve_has_the_logs_numbers():
    text = "".join(
        f"Iteration {20 * i}, loss = {9 * i}, loss per pixel = {i}.0000, lr = 1e-05, 3 images/s\n"
        for i in range(1, 8)
    )
    curve = plot_logs.curve("a line\n" + text, "x")
    assert curve.xs == [20 * i for i in range(1, 8)]
    assert curve.ys == [1, 1.5, 2, 2.5, 3, 4, 5]


def test_a_picture_is_written(tmp_path):
    out = str(tmp_path / "loss.png")
    plot_logs.main([LOG, LOG, "--out", out])
    with Image.open(out) as image:
        assert image.width > 900 and len(image.convert("RGB").getcolors(10**6)) > 3


def test_a_log_without_losses_is_named(tmp_path):
    with pytest.raises(SystemExit, match="other.log"):
        plot_logs.curve("nothing", "other.log")
