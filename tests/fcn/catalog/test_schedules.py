"""The fields of the solvers, as published and as usual."""

from fcn.catalog import schedules


def fields(schedule):
    return dict(schedule.fields)


def test_the_published_solver():
    found = schedules.reference(1e-10)
    assert (found.steps, found.score_every, found.snapshot_every) == (100000, 4000, 4000)
    said = fields(found)
    assert (said["base_lr"], said["momentum"], said["weight_decay"]) == (1e-10, 0.99, 0.0005)
    assert said["test_interval"] == schedules.NEVER  # solve.py scores by itself
    assert said["lr_policy"] == "fixed" and said["max_iter"] == 100000
    assert list(said)[-2:] == ["snapshot", "test_initialization"]


def test_a_solver_without_the_field_takes_snapshots_when_it_scores():
    found = schedules.reference(1e-10, every=2000, snapshot=None, steps=5, max_iter=300000)
    assert "snapshot" not in fields(found) and found.snapshot_every == 2000
    assert (found.steps, fields(found)["max_iter"]) == (5, 300000)


def test_batches_of_twenty_images():
    said = fields(schedules.minibatch(1e-4, test_iter=3))
    assert (said["iter_size"], said["momentum"], said["test_iter"]) == (20, 0.9, 3)


def test_poly_falls_to_zero_at_the_last_step_and_adam_is_the_same_with_its_moments():
    poly, adam = schedules.poly(400, 0.05, 100, 7), schedules.adam(400, 0.05, 100, 7)
    assert fields(poly)["lr_policy"] == "poly" and fields(poly)["max_iter"] == poly.steps == 400
    more = {"type": "Adam", "momentum2": 0.999, "delta": 1e-8, "weight_decay": 0.00001}
    assert fields(adam) == {**fields(poly), **more}
