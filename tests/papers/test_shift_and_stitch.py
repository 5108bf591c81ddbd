"""Shift-and-stitch against rarefaction: equality on tiny nets, and what cannot be rarefied."""

import json
import os

import numpy as np
from rarefied_nets import MAX, net

from fcn.random_weights import fill
from papers import shift_and_stitch


def test_quick_mode(tmp_path):
    before = os.getcwd()
    try:
        shift_and_stitch.main(["--quick", "--out", str(tmp_path)])
    finally:
        os.chdir(before)
    raw = json.loads((tmp_path / "shift_and_stitch.json").read_text(encoding="utf-8"))["raw"]
    (found,) = raw.values()
    assert found["rounding"] < 1e-5 < found["interpolation"]
    assert len(found["seconds"]) == 3


def test_interpolation_is_exact_at_the_places_of_the_one_pass():
    ways = shift_and_stitch.Ways(net((MAX, 2, 2), (MAX, 2, 2)), fill, 4)
    image = shift_and_stitch.picture(ways.whole)
    stitched, smooth = ways.shift_and_stitch(image), ways.upsampled(image)
    f = ways.stride
    at = slice(f // 2, None, f)
    np.testing.assert_allclose(
        smooth[:, at, at], stitched[:, at, at], atol=1e-5 * np.abs(stitched).max()
    )
