"""The command line of every solve.py."""

import argparse
import os

import bootstrap


def parser(experiment):
    schedule = experiment.schedule
    p = argparse.ArgumentParser(
        prog=f"nets/{experiment.name}/solve.py",
        description=f"Train {experiment.name}. Paths are relative to where you are.",
    )
    p.add_argument("--gpu", type=int, metavar="N", help="the GPU to use (default: the CPU)")
    p.add_argument(
        "--steps",
        type=positive,
        metavar="N",
        help=f"iterations in all (default: {schedule.steps}; with --resume: as before)",
    )
    again = p.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on from the newest whole snapshot")
    again.add_argument(
        "--restart", action="store_true", help="begin anew although an unfinished run is there"
    )
    p.add_argument(
        "--data",
        nargs="+",
        type=bootstrap.user_path,
        metavar="DIR",
        help="where the data is: {}".format(", ".join(experiment.dataset.folders)),
    )
    p.add_argument(
        "--weights",
        type=bootstrap.user_path,
        metavar="FILE",
        help="the caffemodel to start from, instead of the catalog's",
    )
    p.add_argument(
        "--snapshot-every",
        type=positive,
        metavar="N",
        help="iterations between snapshots (default: {})".format(dict(schedule.fields)["snapshot"]),
    )
    p.add_argument(
        "--score-every",
        type=positive,
        metavar="N",
        help=f"iterations between scorings of val (default: {schedule.score_every})",
    )
    p.add_argument(
        "--out",
        type=bootstrap.user_path,
        metavar="DIR",
        default=os.path.join(bootstrap.ROOT, "out"),
        help="where results go (default: out in the repository)",
    )
    p.add_argument("--seed", type=int, default=1337, metavar="N", help="of fillers and dropout")
    return p


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {text}")
    return value
