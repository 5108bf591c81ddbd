"""extract_seconds LOG OUT: seconds since the line ``Solving …`` of each line with an iteration.

One number a line, as BVLC's tools/extra/extract_seconds.py writes them; ``parse_log`` gives whole
tables.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from caffe.atomic import atomic_write
from caffe.errors import DataError
from caffe.tools.flags import usage
from caffe.tools.parse_log import Clock, read_log

__all__ = ["extract_seconds", "main"]

USAGE = "usage: extract_seconds LOG OUT"


def extract_seconds(lines: Iterable[str], source: str = "<log>") -> list[float]:
    """The seconds of each line that has the word ``Iteration``, from the start of training on.

    Raises:
        DataError: no line with ``Solving``, so this is no log of training.
    """
    clock, seconds = Clock(source), []
    for line in lines:
        started = clock.reads(line)
        if started and "Iteration" in line:
            seconds.append(clock.seconds())
    clock.check()
    return seconds


def main(argv: list[str]) -> int:
    """Run the tool; returns the exit status."""
    if len(argv) != 2 or argv[0].startswith("-"):
        usage(USAGE)
        return 0 if argv and argv[0].lstrip("-") in ("h", "help") else 1
    log, out = argv
    seconds = extract_seconds(read_log(log), log)
    if os.path.realpath(log) == os.path.realpath(out):
        raise DataError(f"OUT is the log itself: {out}. Give another name.")
    with atomic_write(out) as stream:
        stream.write("".join(f"{value:f}\n" for value in seconds).encode())
    return 0
