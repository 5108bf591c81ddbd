"""Line plots: what lies where, and that nothing a run can give breaks them."""

import os

import numpy as np
import pytest
from fcn_helpers import ROOT  # noqa: F401  the path of the experiments
from PIL import Image

from fcn import plots


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 300, [0, 100, 200, 300]),
        (17, 17, [17]),
        (-0.1, 0.1, [-0.1, -0.05, 0, 0.05, 0.1]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert np.allclose(plots.ticks(low, high), expected)


def test_smooth_is_the_mean_of_the_last_values():
    assert plots.smooth([1, 2, 6, 10], 2) == [1, 1.5, 4, 8]


def test_a_band_goes_from_the_least_to_the_most():
    curve = plots.over_runs("a", [1, 2], [[1, 4], [3, 0]])
    assert (curve.ys, curve.low, curve.high) == ([2, 2], [1, 0], [3, 4])
    assert plots.over_runs("a", [1, 2], [[1, 4]]).low is None


def colour(path, x, y):
    with Image.open(path) as image:
        return image.convert("RGB").getpixel((x, y))


def test_a_rising_line_goes_from_corner_to_corner(tmp_path):
    path = os.path.join(str(tmp_path), "a.png")
    curve = plots.Curve("one", [0, 1], [0, 1])
    plots.draw(path, [plots.Panel("t", "x", "y", [curve], ylim=(0, 1))])
    box = (plots.LEFT, plots.TOP, plots.WIDTH - plots.RIGHT, plots.HEIGHT - plots.BOTTOM)
    middle = (box[0] + box[2]) // 2, (box[1] + box[3]) // 2
    assert np.abs(np.subtract(colour(path, *middle), plots.COLOURS[0])).max() < 30
    assert colour(path, box[0] + 10, box[1] + 10) == (255, 255, 255)


@pytest.mark.parametrize("xs, ys", [([1], [2]), ([1, 2, 3], [5, 5, 5]), ([2, 128], [0, 1e30])])
def test_odd_curves_are_drawn(xs, ys, tmp_path):
    path = os.path.join(str(tmp_path), "a.png")
    curves = [plots.Curve(str(i), xs, ys) for i in range(3)]
    plots.draw(path, [plots.Panel("t", "x", "y", curves, log=len(xs) == 2)] * 2)
    with Image.open(path) as image:
        assert image.size[0] == 2 * plots.WIDTH


def test_runs_that_diverged_are_left_out(tmp_path):
    path = os.path.join(str(tmp_path), "a.png")
    nan = float("nan")
    plots.draw(
        path,
        [
            plots.Panel(
                "t",
                "x",
                "y",
                [plots.Curve("a", [1, 2, 3], [1, nan, nan]), plots.Curve("b", [1, 2], [nan, nan])],
            )
        ],
    )
    assert os.path.getsize(path) > 1000


def test_letters_that_the_font_lacks_are_replaced(tmp_path):
    paths = [os.path.join(str(tmp_path), name) for name in ("a.png", "b.png")]
    for path, label in zip(paths, ("3×3", "3x3")):
        curve = plots.Curve(label, [0, 1], [0, 1])
        plots.draw(path, [plots.Panel(label, label, label, [curve])])
    with Image.open(paths[0]) as one, Image.open(paths[1]) as other:
        assert one.convert("RGB").tobytes() == other.convert("RGB").tobytes()
