"""The policies by their formulas; BVLC Caffe's own rates are in the oracle's golden cases."""

import math

import numpy as np
import pytest

from caffe.errors import SolverError
from caffe.proto import caffe_pb2
from caffe.solver.lr_policy import POLICIES, learning_rate

SETTINGS = dict(
    base_lr=0.5,
    gamma=0.9,
    power=0.75,
    stepsize=10,
    stepvalue=[3, 5],
    max_iter=40,
    stagelr=[0.1, 0.01, 0.001],
    stageiter=[3, 5, 20],
)


def rate(policy, iteration, step=0, **changes):
    return learning_rate(
        caffe_pb2.SolverParameter(lr_policy=policy, **{**SETTINGS, **changes}), iteration, step
    )


@pytest.mark.parametrize(
    ("policy", "formula"),
    [
        ("fixed", lambda i: 0.5),
        ("step", lambda i: 0.5 * 0.9 ** (i // 10)),
        ("exp", lambda i: 0.5 * 0.9**i),
        ("inv", lambda i: 0.5 * (1 + 0.9 * i) ** -0.75),
        ("poly", lambda i: 0.5 * (1 - i / 40) ** 0.75),
        ("sigmoid", lambda i: 0.5 / (1 + math.exp(-0.9 * (i - 10)))),
    ],
)
@pytest.mark.parametrize("iteration", [0, 1, 9, 10, 25, 40])
def test_a_policy_is_its_formula_in_float32(policy, formula, iteration):
    found, _ = rate(policy, iteration)
    assert found == np.float32(found)  # a float32 number, as BVLC's Dtype
    np.testing.assert_allclose(found, formula(iteration), rtol=1e-5)  # 0.9 itself is rounded


def test_every_policy_is_tested():
    tested = {"fixed", "step", "exp", "inv", "poly", "sigmoid", "multistep", "multifixed"}
    assert set(POLICIES) == tested


def test_step_follows_from_the_iteration_and_multistep_counts_one_at_a_call():
    assert rate("step", 25, step=7)[1] == 2
    rates, step = [], 0
    for iteration in range(7):
        found, step = rate("multistep", iteration, step)
        rates.append(found)
    np.testing.assert_allclose(rates, [0.5] * 3 + [0.45] * 2 + [0.405] * 2, rtol=1e-6)
    # A solver that begins beyond both values passes one at each reading, as in BVLC.
    assert rate("multistep", 6, step=0)[1] == 1


def test_multifixed_has_a_rate_for_each_stage_the_last_one_for_ever():
    """YOLO's: a stage ends after its stageiter."""
    rates = [rate("multifixed", i)[0] for i in (0, 3, 4, 5, 6, 20, 21, 1000)]
    np.testing.assert_array_equal(rates, np.float32([0.1] * 2 + [0.01] * 2 + [0.001] * 4))


@pytest.mark.parametrize("policy", ["fixed", "step", "poly"])
def test_the_rate_grows_in_a_line_over_warmup_iter_whatever_the_policy(policy):
    """Intel's."""
    more = dict(warmup_iter=4, warmup_start_lr=0.1)
    rates = [rate(policy, i, **more)[0] for i in range(4)]
    np.testing.assert_allclose(rates, [0.1, 0.2, 0.3, 0.4], rtol=1e-6)
    assert rate(policy, 4, **more) == rate(policy, 4)


def test_the_rate_grows_as_a_square_over_rampup_interval_and_poly_falls_to_min_lr():
    """NVIDIA's."""
    more = dict(rampup_interval=10, rampup_lr=0.1, min_lr=0.05)
    rates = [rate("poly", i, **more)[0] for i in (0, 5, 40)]
    np.testing.assert_allclose(rates, [0.1, 0.1 + 0.4 * 0.25, 0.05], rtol=1e-6)
    np.testing.assert_allclose(rate("poly", 10, **more)[0], 0.05 + 0.45 * 0.75**0.75, rtol=1e-6)


def test_other_policies_leave_the_step():
    assert {rate(policy, 3, step=4)[1] for policy in POLICIES if "step" not in policy} == {4}


@pytest.mark.parametrize(
    ("policy", "changes", "message"),
    [
        ("", {}, "Unknown learning rate policy"),
        ("Step", {}, "Did you mean 'step'"),
        ("step", {"stepsize": 0}, "stepsize > 0"),
        ("exp", {"gamma": -1}, "gamma >= 0"),
        ("poly", {"max_iter": 0}, "max_iter > 0"),
        ("multifixed", {"stageiter": [3]}, "3 stagelr and 1 stageiter"),
        ("multifixed", {"stagelr": [], "stageiter": []}, "0 stagelr"),
        ("plateau", {}, "'plateau' is SSD's.*multistep"),
    ],
)
def test_settings_that_cannot_work_are_refused(policy, changes, message):
    with pytest.raises(SolverError, match=message):
        rate(policy, 1, **changes)


def test_a_power_out_of_range_is_infinite_or_no_number():
    assert rate("exp", 10**6, gamma=2.0)[0] == math.inf
    assert math.isnan(rate("poly", 80)[0])  # a negative base
