"""The number of steps that fits into a time limit."""

from types import SimpleNamespace

import pytest

from fcn.training.time_limit import TimeLimit, continued


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def run(minutes, seconds_of, planned=1000):
    """A run whose step i takes seconds_of(i); (steps done, seconds, every number of steps)."""
    clock = Clock()
    limit, done, plans = TimeLimit(minutes, clock), 0, [planned]
    while done < plans[-1] and not limit.over:
        clock.now += seconds_of(done)
        done += 1
        steps = limit.steps(done, plans[-1])
        if steps is not None:
            plans.append(steps)
    return done, clock.now, plans


def test_without_a_limit_nothing_changes():
    assert run(None, lambda i: 1.0) == (1000, 1000.0, [1000])


def test_a_steady_run_fills_its_time():
    done, seconds, plans = run(10, lambda i: 0.5)
    assert done == plans[-1] and 0.95 * 600 <= seconds <= 600
    assert abs(plans[1] - done) < 0.02 * done  # the first measurement was right


def test_more_steps_than_planned_are_made_where_they_fit():
    done, seconds, _ = run(10, lambda i: 0.1, planned=50000)
    assert 5600 < done <= 6000 and seconds <= 600


def test_a_slow_first_step_is_not_the_speed():
    done, seconds, plans = run(10, lambda i: 30.0 if i == 0 else 0.5)
    assert done == plans[-1] and 0.95 * 600 <= seconds <= 600


def test_a_run_that_becomes_slower_is_planned_anew():
    done, seconds, plans = run(10, lambda i: 0.5 if i < 400 else 1.0)
    assert len(plans) > 2 and done == plans[-1] and 0.9 * 600 <= seconds <= 602


def test_a_run_that_becomes_faster_does_not_end_early():
    """Between two shares of the time the machine becomes idle."""
    done, seconds, plans = run(10, lambda i: 4.0 if i < 20 else 0.4)
    assert done == plans[-1] and 0.9 * 600 <= seconds <= 602


def test_the_rate_does_not_jump_where_the_number_of_steps_changes():
    solver = SimpleNamespace(lr_policy="poly", base_lr=0.01, power=0.9)
    for planned, done, steps in ((1000, 300, 1500), (1000, 300, 400), (10, 0, 20)):
        base = continued(solver, done, planned, steps)
        before = solver.base_lr * (1 - done / planned) ** solver.power
        assert base * (1 - done / steps) ** solver.power == pytest.approx(before)
    assert continued(solver, 500, 400, 600) == solver.base_lr  # at its end already
    solver.lr_policy = "fixed"
    assert continued(solver, 300, 1000, 400) == 0.01


def test_the_limit_holds_where_no_plan_did():
    done, seconds, plans = run(1, lambda i: 25.0)
    assert done == 3 and seconds == 75 and done < plans[-1]
