"""The command line of every solve.py, and what it shares with score.py's."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

import bootstrap
from fcn.device import PRECISIONS

if TYPE_CHECKING:
    from fcn.catalog.experiment import Experiment

#: Of the fillers and dropout, unless --seed says otherwise.
SEED = 1337

#: The largest number that an option takes.
MOST = 2**31 - 1


def parser(experiment: Experiment) -> argparse.ArgumentParser:
    schedule = experiment.schedule
    p = argparse.ArgumentParser(
        prog=f"{experiment.folder or 'nets/' + experiment.name}/solve.py",
        description=f"Train {experiment.name}. Paths are relative to where you are.",
        allow_abbrev=False,  # Docker's entry point looks for options by their names
    )
    p.add_argument(
        "--steps",
        type=positive,
        metavar="N",
        help=f"iterations in all (default: {schedule.steps}; with --resume: as before)",
    )
    p.add_argument(
        "--minutes",
        type=minutes,
        metavar="M",
        help="as many iterations as fit into this time, scorings not counted that come at its end",
    )
    again = p.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="continue from the newest complete snapshot"
    )
    again.add_argument(
        "--restart", action="store_true", help="start over, even if --out holds a run"
    )
    sources = dict(experiment.dataset.val.params, **experiment.dataset.train.params)
    keys = experiment.dataset.folders
    shared(
        p,
        data="{} (default: {}; with --resume: as before)".format(
            ", then ".join(keys), " ".join(sources[key] for key in keys)
        ),
        out="results go",
    )
    p.add_argument(
        "--weights",
        type=path,
        nargs="+",
        metavar="FILE",
        help="the caffemodel to start from, instead of the catalog's; one for each trunk of a net "
        "that has several",
    )
    p.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="1: a thread prepares the batches; more: so many processes do (default: as the net "
        "says, for data layers that have the key)",
    )
    p.add_argument(
        "--replace-scores",
        action="store_true",
        help="learn score layers anew whose weights in the file are of another number of classes",
    )
    p.add_argument(
        "--snapshot-every",
        type=positive,
        metavar="N",
        help=f"iterations between snapshots (default: {schedule.snapshot_every})",
    )
    p.add_argument(
        "--keep",
        type=positive,
        default=3,
        metavar="N",
        help="how many of the newest snapshots stay (default: %(default)s), beside the weights "
        "that were best on val",
    )
    p.add_argument(
        "--score-every",
        type=positive,
        metavar="N",
        help=f"iterations between scorings of val (default: {schedule.score_every})",
    )
    p.add_argument(
        "--seed", type=natural, metavar="N", help=f"seed of fillers and dropout (default: {SEED})"
    )
    p.add_argument(
        "--tensorboard",
        action="store_true",
        help="write TensorBoard's event files too (needs the package tensorboard)",
    )
    return p


def shared(p: argparse.ArgumentParser, data: str, out: str) -> None:
    """Add --gpu, --precision, --data and --out. data: which folders; out: what is in <out>."""
    p.add_argument("--gpu", type=natural, metavar="N", help="the GPU to use (default: the CPU)")
    p.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="of products on a GPU: float32 as BVLC Caffe's, factors rounded to TF32, or "
        "activations in bfloat16 (default: fp32)",
    )
    p.add_argument(
        "--data",
        nargs="+",
        type=data_folder,
        metavar="DIR",
        help="the folders of the data, in this order: " + data,
    )
    p.add_argument(
        "--out",
        type=path,
        metavar="DIR",
        help=f"where {out} (default: out in the repository; of a net of your own, in its folder)",
    )


def minutes(text: str) -> float:
    """A time in minutes, above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"expected minutes above 0; received '{text}'")
    return value


def path(text: str) -> str:
    """An absolute path for one that the user typed; prototxts can hold it only if it is UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"the bytes of {text!r} are no UTF-8") from None
    return bootstrap.user_path(text)


def data_folder(text: str) -> str:
    """:func:`path` of a folder of data; a dataset.json stands for the folder that it is in."""
    found = path(text)
    return os.path.dirname(found) if os.path.basename(found) == "dataset.json" else found


def positive(text: str) -> int:
    """The number that an argument says; 1 or more."""
    return number(text, 1)


def classes(text: str) -> int:
    """A number of classes: labels are one byte, and 255 is what does not count."""
    return number(text, 1, 255)


def natural(text: str) -> int:
    """The number that an argument says; 0 or more."""
    return number(text, 0)


def number(text: str, least: int, most: int = MOST) -> int:
    """The number that an argument says, within limits; argparse's error otherwise."""
    # Beyond that neither a solver's fields nor Caffe's random generator can hold it.
    if not (text.isdecimal() and len(text) < 12 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(
            f"expected a number from {least} to {most}; received '{text}'"
        )
    return int(text)
