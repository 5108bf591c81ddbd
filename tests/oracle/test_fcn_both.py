"""What the comparison of solve.py and infer.py must refuse, so that agreement means something."""

import fcn_both
import fcn_tests
import numpy as np
import pytest

ONES = np.ones((2, 3), np.float32)
SCORE = {
    "iter": 3,
    "pixels": 90,
    "overall_accuracy": 0.9,
    "mean_accuracy": 0.5,
    "mean_iu": 0.4,
    "fwavacc": 0.8,
    "loss": 0.7,
}


def test_equal_weights_agree():
    problems, share = fcn_both.compare_weights({("conv", 0): ONES}, {("conv", 0): ONES * 1.0001})
    assert problems == [] and 0 < share < 1


@pytest.mark.parametrize(
    "a, b, message",
    [
        (ONES, ONES * 1.002, "conv 0 differs by 0.002"),
        (ONES, ONES * np.nan, "conv 0 differs by nan"),
        (ONES * 0, ONES * 0, "all zero"),
        (ONES, ONES[0], "shape (2, 3) expected, (3,) found"),
        (ONES[:0], ONES[:0], "shape"),
    ],
)
def test_different_weights_are_problems(a, b, message):
    problems, _ = fcn_both.compare_weights({("conv", 0): a}, {("conv", 0): b})
    assert message in problems[0]


def test_other_parameters_are_a_problem():
    assert fcn_both.compare_weights({("conv", 0): ONES}, {("conv", 1): ONES})[0]
    assert fcn_both.compare_weights({}, {})[0]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"mean_iu": 0.4003}, "mean_iu 0.400000 expected, 0.400300"),
        ({"loss": float("nan")}, "loss"),
        ({"pixels": 89}, "90 pixels expected, 89 found"),
        ({"iter": 4}, "different steps"),
    ],
)
def test_different_scores_are_problems(change, message):
    assert fcn_both.compare_scores([SCORE], [SCORE], 1e-4) == ([], 0)
    problems, _ = fcn_both.compare_scores([SCORE], [dict(SCORE, **change)], 1e-4)
    assert message in problems[0]


def test_no_score_at_all_is_a_problem():
    assert fcn_both.compare_scores([], [], 1e-4)[0]


def test_one_pixel_or_colour_more_is_a_problem():
    label = np.zeros((2, 3), np.uint8)
    other = label.copy()
    other[1, 1] = 1
    equal = ("P", [0, 0, 0], label)
    assert fcn_both.compare_maps(equal, equal) == []
    assert "1 of 6 pixels" in fcn_both.compare_maps(equal, ("P", [0, 0, 0], other))[0]
    assert "palettes" in fcn_both.compare_maps(equal, ("P", [0, 0, 1], label))[0]
    assert "expected" in fcn_both.compare_maps(equal, ("L", None, label))[0]


def test_an_engine_is_not_compared_with_itself():
    assert fcn_both.same_engine(["BVLC Caffe", "ours"]) == []
    assert "both sides were produced by ours" in fcn_both.same_engine(["ours", "ours"])[0]


def test_every_test_outside_the_engine_runs_on_bvlc_too():
    assert fcn_tests.forgotten() == []
