"""The command line of report.py: see there."""

from __future__ import annotations

import argparse
import os
import sys

import bootstrap
from bootstrap import shown
from fcn.atomic import write_text
from fcn.catalog.folders import FILE as EXPERIMENT
from fcn.errors import USER_ERRORS
from fcn.report import run as runs
from fcn.report.page import page

__all__ = ["main", "write"]

NAME = "report.html"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="report.py",
        allow_abbrev=False,
        description="Show training runs in one HTML file: curves, classes, confusion matrix, "
        "pictures, net and settings. Several runs come side by side.",
    )
    p.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="the folder of a run, of a net that train.py or nets/make.py wrote, or the name of an "
        "experiment that was trained here",
    )
    p.add_argument(
        "--out",
        metavar="FILE",
        type=bootstrap.user_path,
        help=f"the file to write (default: {NAME} in the folder of RUN; of several, here)",
    )
    return p


def write(given: list[str], out: str | None = None) -> str:
    """Write the report of some runs; returns its path. USER_ERRORS say what is wrong."""
    folders = [runs.find(path) for path in given]
    if out is None:
        out = os.path.join(bootstrap.START, NAME)
        if len(given) == 1:
            path = bootstrap.user_path(given[0])
            net = os.path.isfile(os.path.join(path, EXPERIMENT))
            out = os.path.join(path if net else folders[0], NAME)
    write_text(out, page([runs.read(folder) for folder in folders]))
    return out


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code."""
    args = parser().parse_args(argv)
    try:
        out = write(args.runs, args.out)
    except BrokenPipeError:
        raise
    except USER_ERRORS as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {shown(out)}, {os.path.getsize(out) / 1e6:.1f} MB: open it in a browser")
    return 0
