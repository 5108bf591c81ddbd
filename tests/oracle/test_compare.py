"""The comparison itself: what it must refuse, so that agreement means something."""

import cases
import golden
import numpy as np
import pytest
from compare import check_case
from sides import Result

ONES = np.ones((2, 3), np.float32)


def compare(a, b, zero_ok=None, engines=("BVLC Caffe 1.0.0", "engine"), statuses=("ok", "ok")):
    key = "0.forward/data/y"
    case = {"name": "case", "zero_ok": zero_ok or {}}
    return check_case(
        case, Result(engines[0], statuses[0], {key: a}), Result(engines[1], statuses[1], {key: b})
    )


def test_equal_arrays_agree():
    assert compare(ONES, ONES * (1 + 5e-5)) == []


@pytest.mark.parametrize(
    "a, b, message",
    [
        (ONES, ONES * 1.001, "differs by 0.001"),
        (ONES * 0, ONES * 0, "all zero"),
        (ONES[:0], ONES[:0], "empty"),
        (ONES, ONES[0], "shape (2, 3) expected, (3,) found"),
        (ONES * np.nan, ONES, "NaN"),
        (ONES, ONES * np.nan, "differs by inf"),
        (ONES * -3.4e38, ONES * 0, "differs by inf"),
    ],
)
def test_differences_and_empty_comparisons_are_problems(a, b, message):
    assert message in " ".join(compare(a, b))


def test_declared_zero_must_stay_zero():
    reasons = {"data/y": "there is no input"}
    assert compare(ONES * 0, ONES * 0, reasons) == []
    assert "must be zero (there is no input)" in compare(ONES * 0, ONES, reasons)[0]


def test_an_engine_is_never_compared_with_itself():
    assert "both sides" in compare(ONES, ONES, engines=("engine", "engine"))[0]


def test_a_failed_run_is_a_problem():
    assert "aborted" in compare(ONES, ONES, statuses=("aborted: Check failed", "ok"))[0]


def test_keys_of_one_side_only_are_a_problem():
    found = check_case({"name": "case"}, Result("a", "ok", {"0.f/x": ONES}), Result("b", "ok", {}))
    assert "recorded by one side only: 0.f/x" in found[0]


def test_a_changed_case_makes_its_golden_result_stale():
    case, stored = golden.expected("Pooling")[0]
    changed = dict(case, net=case["net"].replace("force_backward: true", "force_backward: false"))
    assert stored is not None
    assert golden.case_hash(changed) not in golden.load("pooling")


def test_golden_results_come_from_bvlc_caffe():
    for family in cases.FAMILIES:
        assert {r.engine for r in golden.load(family).values()} == {"BVLC Caffe 1.0.0"}


@pytest.mark.parametrize("allowed, agrees", [(0.5, True), (0.4, False)])
def test_a_declared_tolerance_is_instead_of_the_usual(allowed, agrees):
    case = {"name": "case", "tolerance": {"data/y": {"absolute": allowed, "reason": "rounding"}}}
    sides = [
        Result(engine, "ok", {"0.forward/data/y": array})
        for engine, array in (("BVLC Caffe 1.0.0", ONES), ("engine", ONES + 0.5))
    ]
    assert (check_case(case, *sides) == []) is agrees
