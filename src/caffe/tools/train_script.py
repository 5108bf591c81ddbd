"""BVLC's ``python/train.py``: train a solver on one or more GPUs, as `caffe shim` writes it.

Its arguments are turned into those of ``caffe train``, which does the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run with these arguments (default: the process's); returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="train.py",
        description="Train a solver on one or more GPUs: `caffe train` with BVLC's arguments.",
        allow_abbrev=False,
    )
    parser.add_argument("--solver", required=True, help="solver prototxt")
    parser.add_argument("--snapshot", help="solverstate to go on from")
    parser.add_argument(
        "--gpus", type=int, nargs="+", default=[0], help="GPUs to train on (default: 0)"
    )
    parser.add_argument(
        "--timing",
        action="store_true",
        help="not here: `caffe time` tells what each layer takes",
    )
    args = parser.parse_args(argv)
    if args.timing:
        parser.error("--timing: `caffe time -model NET` tells what each layer takes")
    words = ["train", "-solver", args.solver, "-gpu", ",".join(map(str, args.gpus))]
    run = import_module("caffe.cli").main  # by name: the command line knows the tools, not they it
    return int(run(words + (["-snapshot", args.snapshot] if args.snapshot else [])))
