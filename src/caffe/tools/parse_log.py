"""parse_log LOG FOLDER: a training log into FOLDER/LOG.train and FOLDER/LOG.test, tables in CSV.

Columns: NumIters, Seconds since the line ``Solving …``, LearningRate, then the net's outputs.  A
row is one display or one test.  The rate is that of the row's own iteration; where none was logged
there, the last before it, else the first after it.

:func:`shell` is BVLC's ``parse_log.sh LOG``: columns of fixed names between blanks, in the working
directory.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from caffe.atomic import atomic_write
from caffe.errors import DataError
from caffe.tools.flags import Flag, parse, usage

__all__ = ["Clock", "Table", "main", "parse_log", "read_log", "shell"]

FLAGS = {
    "delimiter": Flag(",", "what separates the columns"),
    "verbose": Flag(False, "say what is written, and print the last row of each table"),
}
USAGE = "usage: parse_log LOG FOLDER [--delimiter C] [--verbose]"
SHELL_USAGE = "Usage parse_log.sh /path/to/your.log"

# Headings of parse_log.sh, and the columns below them; "accuracy" is the first that begins so.
_SHELL = {
    "train": {
        "#Iters": "NumIters",
        "Seconds": "Seconds",
        "TrainingLoss": "loss",
        "LearningRate": "LearningRate",
    },
    "test": {
        "#Iters": "NumIters",
        "Seconds": "Seconds",
        "TestAccuracy": "accuracy",
        "TestLoss": "loss",
    },
}

_NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|inf|nan))"
_STAMP = re.compile(r"^[IWEF](\d{4}|\d{8}) (\d\d:\d\d:\d\d)(\.\d+)?")
# Both "Iteration 20, loss = 1.5" of old and "Iteration 20 (3 iter/s, 6s/20 iters), loss = 1.5".
_ITERATION = re.compile(r"Iteration (\d+)[, ]")
_RATE = re.compile(rf"Iteration (\d+), lr = {_NUMBER}")
_OUTPUT = re.compile(rf"(Train|Test) net output #\d+: (\S+) = {_NUMBER}")


@dataclass
class Table:
    """Rows of one phase; ``columns`` in the order in which the outputs first appear."""

    columns: list[str] = field(default_factory=lambda: ["NumIters", "Seconds", "LearningRate"])
    rows: list[dict[str, float]] = field(default_factory=list)

    def add(self, iteration: int, seconds: float, name: str, value: float, new: bool) -> None:
        """Set one output, in a new row or in the last."""
        if new:
            self.rows.append({"NumIters": iteration, "Seconds": seconds})
        row = self.rows[-1]
        # An output of several values has several lines of one name: name, name_1, name_2 …
        column, k = name, 0
        while column in row:
            k += 1
            column = f"{name}_{k}"
        if column not in self.columns:
            self.columns.append(column)
        row[column] = value

    def set_rates(self, rates: dict[int, float]) -> None:
        """Fill in LearningRate, from iteration → rate."""
        known = sorted(rates)
        for row in self.rows:
            before = [i for i in known if i <= row["NumIters"]]
            nearest = before[-1] if before else known[0] if known else None
            row["LearningRate"] = float("nan") if nearest is None else rates[nearest]


class Clock:
    """The time of a log's lines, from the line ``Solving …`` on."""

    def __init__(self, source: str = "<log>"):
        self.source = source
        self._start: datetime | None = None
        self._now: datetime | None = None

    def reads(self, line: str) -> bool:
        """Take a line's stamp, if it has one; whether training had begun before this line."""
        stamp = _STAMP.match(line)
        if stamp:
            self._now = _after(self._now, *stamp.groups(default=""))
        if self._start is None:
            if "Solving" in line:
                self._start = self._now
            return False
        return True

    def seconds(self) -> float:
        """From the start to the line read last."""
        if self._start is None or self._now is None:
            return float("nan")
        return (self._now - self._start).total_seconds()

    def check(self) -> None:
        """Raise if training never began."""
        if self._start is None:
            raise DataError(
                f"{self.source}: no glog line with 'Solving': expected what `caffe train` writes "
                "to stderr"
            )


def read_log(path: str) -> list[str]:
    """The lines of a log.

    Raises:
        DataError: it cannot be read; names it.
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return list(stream)
    except OSError as error:
        raise DataError(f"cannot read the log {path}: {error.strerror or error}") from error


def parse_log(lines: Iterable[str], source: str = "<log>") -> tuple[Table, Table]:
    """The tables of training and of testing.

    Raises:
        DataError: no line with ``Solving``, so this is no log of training.
    """
    train, test = Table(), Table()
    rates: dict[int, float] = {}
    clock = Clock(source)
    iteration: int | None = None
    fresh = {"Train": True, "Test": True}  # the next output begins a row
    for line in lines:
        if not clock.reads(line):
            continue
        found = _ITERATION.search(line)
        if found:
            iteration = int(found.group(1))
            rate = _RATE.search(line)
            if rate:
                rates[iteration] = float(rate.group(2))
            else:
                fresh = {"Train": True, "Test": True}
        output = _OUTPUT.search(line)
        if output and iteration is not None:
            phase, name, value = output.groups()
            table = train if phase == "Train" else test
            table.add(iteration, clock.seconds(), name, float(value), fresh[phase])
            fresh[phase] = False
    clock.check()
    for table in (train, test):
        table.set_rates(rates)
    return train, test


def _after(before: datetime | None, date: str, clock: str, fraction: str) -> datetime:
    """The time of a stamp, which has no year: from December to January a year has passed."""
    year = int(date[:4]) if len(date) == 8 else (before.year if before else 2000)
    text = f"{year}{date[-4:]} {clock}"
    now = datetime.strptime(text, "%Y%m%d %H:%M:%S") + timedelta(seconds=float(fraction or 0))
    if before and len(date) == 4 and now.month < before.month:
        now = now.replace(year=now.year + 1)
    return now


def _write(table: Table, path: str, delimiter: str, verbose: bool) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(
        text, table.columns, delimiter=delimiter, lineterminator="\n", restval="nan"
    )
    writer.writeheader()
    writer.writerows(table.rows)
    with atomic_write(path) as stream:
        stream.write(text.getvalue().encode())
    if verbose:
        print(f"Wrote {path}")
        if table.rows:
            print(", ".join(f"{name}: {table.rows[-1].get(name)}" for name in table.columns))


def main(argv: list[str]) -> int:
    """Run the tool; returns the exit status."""
    flags, rest = parse(argv, FLAGS, USAGE)
    if len(rest) != 2 or len(flags.delimiter) != 1:
        return usage(USAGE, FLAGS)
    log, folder = rest
    tables = parse_log(read_log(log), log)
    for table, phase in zip(tables, ("train", "test")):
        path = os.path.join(folder, f"{os.path.basename(log)}.{phase}")
        _write(table, path, flags.delimiter, flags.verbose)
    return 0


def shell(argv: list[str]) -> int:
    """BVLC's ``parse_log.sh``: LOG.train and LOG.test here, in columns; returns the exit status."""
    if len(argv) != 1 or argv[0].startswith("-"):
        return usage(SHELL_USAGE)
    for table, (phase, headings) in zip(parse_log(read_log(argv[0]), argv[0]), _SHELL.items()):
        fields = [_column(table, name) for name in headings.values()]
        rows = [list(headings)]
        rows += [[f"{row.get(field, float('nan')):g}" for field in fields] for row in table.rows]
        widths = [max(len(row[i]) for row in rows) for i in range(len(headings))]
        lines = ("  ".join(word.ljust(width) for word, width in zip(row, widths)) for row in rows)
        with atomic_write(f"{os.path.basename(argv[0])}.{phase}") as stream:
            stream.write("".join(line.rstrip() + "\n" for line in lines).encode())
    return 0


def _column(table: Table, name: str) -> str:
    """The table's column of this name, else the first that holds the name."""
    if name in table.columns:
        return name
    return next((column for column in table.columns if name in column.lower()), name)
