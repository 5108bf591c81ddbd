"""What an earlier run of the same name left: whether a new one may begin, or that one go on."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from bootstrap import shown
from fcn import options
from fcn.errors import StartError
from fcn.scoring import results

__all__ = ["check_nothing_is_lost", "check_resumable", "new_state"]

#: What of a snapshot's JSON a run goes on with.
_STATE = {"steps": int, "seed": int, "run": str, "data": dict, "positions": dict, "losses": list}


def new_state(steps: int, seed: int | None) -> dict[str, Any]:
    """The state of a run that begins: what it would find in a snapshot's JSON."""
    return {
        "steps": steps,
        "seed": options.SEED if seed is None else seed,
        # Two runs may begin within a second.
        "run": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "losses": [],
        "data": {},
    }


def check_nothing_is_lost(
    final: str, log: str, label: str, found: tuple[str, dict[str, Any]] | None, where: str
) -> None:
    """StartError where a new run would take the place of another, finished or not.

    final: where the weights at the end go. log, label: the file of scorings, and which to name.
    found: the newest snapshot, its state with it, in the folder that is called `where`.
    """
    if os.path.exists(final):
        finished = results.last(log, label)
        what = "" if finished is None else " ({} steps, mean IU {})".format(*finished)
        more = "continue it with --resume --steps N, " if found else ""
        raise StartError(
            f"{shown(final)} is the result of a finished run{what}: {more}"
            "give this one another --out, or replace it by --restart"
        )
    if found:
        raise StartError(
            "{} holds a run that stopped at step {} of {}: continue it with --resume, "
            "or start over with --restart".format(where, found[1]["iter"], found[1]["steps"])
        )


def check_resumable(
    state: Mapping[str, Any], args: argparse.Namespace, computes: Mapping[str, Any], where: str
) -> None:
    """StartError where the command line contradicts the run in the snapshot.

    computes: what a resumed run must have alike to end with the same bytes; a note tells where it
    differs. where: what the folder is called.
    """
    for key, kind in _STATE.items():
        if not isinstance(state.get(key), kind):
            raise StartError(
                f"the JSON beside the newest snapshot in {where} is damaged: expected "
                f"'{key}' to be a {kind.__name__}, received {state.get(key)!r}; remove that "
                "snapshot, and --resume takes the one before it"
            )
    if args.weights or args.seed not in (None, state["seed"]):
        raise StartError(
            "--resume continues with the weights and seed of the run; leave out --weights and "
            "--seed, or start over with --restart"
        )
    if args.steps and args.steps < state["iter"]:
        raise StartError(
            "the run in {} is at step {} already; --steps {} is less".format(
                where, state["iter"], args.steps
            )
        )
    for key, how in (("threads", "with {} threads"), ("device", "on {}")):
        was, now = state.get(key), computes[key]
        if was is not None and was != now:
            began = ascii(was).strip("'")  # whatever the JSON holds can be printed
            print(
                f"note: the run began {how.format(began)} and goes on {how.format(now)}: the "
                "weights will agree to rounding, not to the last bit"
            )
    if args.steps and args.steps != state["steps"]:
        print(
            "{} steps in all instead of {}: a poly rate changes with it".format(
                args.steps, state["steps"]
            )
        )
