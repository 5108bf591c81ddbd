"""A run neither takes the place of another unasked nor goes on as another one."""

import argparse
import json

import pytest
from fcn_helpers import raised

from fcn import options
from fcn.errors import StartError
from fcn.training.earlier import check_nothing_is_lost, check_resumable, new_state

COMPUTES = {"threads": 1, "device": "CPU"}
STATE = dict(COMPUTES, iter=5, steps=9, seed=7, run="2026-01-01", data={}, positions={}, losses=[])


def resumable(state=STATE, computes=COMPUTES, **given):
    args = dict({"weights": None, "seed": None, "steps": None}, **given)
    return check_resumable(state, argparse.Namespace(**args), computes, "out/net")


def test_a_new_state_can_be_resumed():
    state = new_state(9, None)
    assert state["steps"] == 9 and state["seed"] == options.SEED
    assert new_state(9, 0)["seed"] == 0
    resumable(dict(state, iter=0, positions={}))


def test_two_runs_of_one_second_have_different_names():
    assert len({new_state(1, 1)["run"] for _ in range(3)}) > 1


def test_where_nothing_is_nothing_is_lost(tmp_path):
    check_nothing_is_lost(str(tmp_path / "a"), str(tmp_path / "a.jsonl"), "label", None, "w")


def test_a_finished_run_is_not_replaced(tmp_path):
    final, log = tmp_path / "net.caffemodel", tmp_path / "net.jsonl"
    final.write_bytes(b"")
    told = raised(StartError, check_nothing_is_lost, str(final), str(log), "label", None, "w")
    assert "is the result of a finished run: give" in told and "--resume" not in told
    line = {"output": "label", "iter": 12, "mean_iu": 0.25, "run": "r", "split": "val"}
    log.write_text(json.dumps(line) + "\n")
    found = ("w/a.solverstate", STATE)
    told = raised(StartError, check_nothing_is_lost, str(final), str(log), "label", found, "w")
    assert "(12 steps, mean IU 0.25" in told and "--resume --steps N" in told


def test_a_run_that_stopped_is_not_replaced(tmp_path):
    missing = str(tmp_path / "none")
    found = ("w/a.solverstate", STATE)
    told = raised(StartError, check_nothing_is_lost, missing, missing, "label", found, "out/net")
    assert told.startswith("out/net holds a run that stopped at step 5 of 9: continue it with")


@pytest.mark.parametrize("key", ["steps", "seed", "run", "data", "positions", "losses"])
@pytest.mark.parametrize("value", [None, 1.5])
def test_a_damaged_state_is_named(key, value):
    told = raised(StartError, resumable, dict(STATE, **{key: value}))
    assert f"expected '{key}' to be a" in told and "out/net" in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"weights": "a.caffemodel"}, "leave out --weights"),
        ({"seed": 8}, "leave out --weights and --seed"),
        ({"steps": 4}, "is at step 5 already; --steps 4 is less"),
    ],
)
def test_what_contradicts_the_run(given, told):
    assert told in raised(StartError, resumable, **given)


def test_what_may_change_is_told(capsys):
    resumable(seed=7, steps=5)
    assert "5 steps in all instead of 9: a poly rate changes" in capsys.readouterr().out
    resumable(computes={"threads": 2, "device": "a GPU"})
    told = capsys.readouterr().out
    assert "began with 1 threads and goes on with 2 threads" in told
    assert "began on CPU and goes on on a GPU" in told
    resumable(dict(STATE, threads=None, device=None))  # an older snapshot does not say
    assert capsys.readouterr().out == ""
