"""Command-line flags as gflags reads them, because scripts of ten years are written so.

``-x v``, ``-x=v``, ``--x v`` and ``--x=v`` are the same; a boolean is set by ``-x`` and unset by
``-nox`` or ``-x=false``; flags and other arguments may come in any order, ``--`` ends the flags,
and the last of several wins.  ``-help`` prints the usage.

Example::

    FLAGS = {"backend": Flag("lmdb", "lmdb or leveldb"), "shuffle": Flag(False, "shuffle the list")}

    def main(argv):
        flags, rest = parse(argv, FLAGS, "usage: convert_imageset [FLAGS] ROOT/ LIST DB")
        if len(rest) != 3:
            return usage("usage: convert_imageset ...", FLAGS)
        ... flags.backend, flags.shuffle ...

    if __name__ == "__main__":
        run(main)
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn

from caffe.errors import Error
from caffe.hints import did_you_mean

__all__ = ["Flag", "UsageError", "guarded", "help_text", "parse", "run", "usage"]

_TRUE = ("1", "t", "true", "y", "yes")
_FALSE = ("0", "f", "false", "n", "no")
_INT32 = range(-(2**31), 2**31)


class UsageError(Error):
    """A command line that cannot be understood."""


class Flag(NamedTuple):
    """A flag: its default, whose type (str, bool, int or float) is the flag's, and a help text."""

    default: Any
    help: str = ""

    @property
    def kind(self) -> str:
        """gflags' name of the type."""
        kinds = {bool: "bool", int: "int32", float: "double", str: "string"}
        return kinds[type(self.default)]


def parse(
    argv: Sequence[str], flags: Mapping[str, Any], usage: str = ""
) -> tuple[SimpleNamespace, list[str]]:
    """Read a command line.

    Args:
        argv: the arguments after the program's name.
        flags: from names (without dashes) to a :class:`Flag` or to a default alone.
        usage: what ``-help`` prints above the list of flags.

    Returns:
        The values, one attribute a flag; and the arguments that are no flags.

    Raises:
        UsageError: an unknown flag, a missing or an impossible value.
        SystemExit: ``-help`` was among the arguments; the help is on stdout.
    """
    table = {name: f if isinstance(f, Flag) else Flag(f) for name, f in flags.items()}
    values = {name: flag.default for name, flag in table.items()}
    positional: list[str] = []
    left = list(argv)
    while left:
        word = left.pop(0)
        if word == "--":
            positional += left
            break
        if not word.startswith("-") or word == "-":
            positional.append(word)
            continue
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if name in ("help", "helpshort", "h") and name not in table:
            print(help_text(usage, table))
            raise SystemExit(0)
        flag = table.get(name)
        if flag is None:
            flag = _negated(name, equals, table)
            values[name.removeprefix("no")] = False
        elif flag.kind == "bool":
            values[name] = _value(name, flag, value) if equals else True
        else:
            if not equals:
                if not left:
                    raise UsageError(
                        f"flag '-{name}' is missing its argument; expected {flag.kind}"
                        + (f": {flag.help}" if flag.help else "")
                    )
                value = left.pop(0)
            values[name] = _value(name, flag, value)
    return SimpleNamespace(**values), positional


def _negated(name: str, equals: str, table: Mapping[str, Flag]) -> Flag:
    """The boolean flag that ``-noNAME`` unsets."""
    positive = table.get(name.removeprefix("no")) if name.startswith("no") else None
    if positive is None or equals:
        known = ", ".join(f"-{known}" for known in sorted(table)) or "none"
        raise UsageError(
            f"unknown command line flag '{name}' (known: {known}, -help)."
            + did_you_mean(name, table)
        )
    if positive.kind != "bool":
        raise UsageError(
            f"boolean value ({name}) specified for {positive.kind} command line flag "
            f"'{name.removeprefix('no')}'"
        )
    return positive


def _value(name: str, flag: Flag, text: str) -> Any:
    """The text as the flag's type."""
    try:
        if flag.kind == "bool":
            if text.lower() not in _TRUE + _FALSE:
                raise ValueError
            return text.lower() in _TRUE
        if flag.kind == "int32":
            number = int(text, 16 if text.lower().startswith("0x") else 10)
            if number not in _INT32:
                raise ValueError
            return number
        return float(text) if flag.kind == "double" else text
    except ValueError:
        raise UsageError(
            f"illegal value '{text}' specified for {flag.kind} flag '{name}'"
        ) from None


def help_text(usage: str, flags: Mapping[str, Any]) -> str:
    """The usage and under it one paragraph a flag, in alphabetical order, as gflags prints them."""
    parts = [usage.rstrip("\n"), "", "  Flags:"] if usage else ["  Flags:"]
    for name in sorted(flags):
        flag = flags[name] if isinstance(flags[name], Flag) else Flag(flags[name])
        shown = f'"{flag.default}"' if flag.kind == "string" else str(flag.default).lower()
        text = f"-{name} ({flag.help}) type: {flag.kind} default: {shown}"
        parts.append(textwrap.fill(text, 79, initial_indent="    ", subsequent_indent="      "))
    return "\n".join(parts)


def usage(text: str, flags: Mapping[str, Any] | None = None) -> int:
    """Print the usage and the flags on stdout; returns 1, the exit status for a wrong call."""
    print(help_text(text, flags) if flags else text)
    return 1


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """Call a tool's ``main`` with the process's arguments and exit with its status.

    A failure is one message on stderr and status 1.
    """
    sys.exit(guarded(main, sys.argv[1:]))


def _fill_closed_streams() -> None:
    """Nothing in the place of a closed stdin, stdout or stderr: else the next file that is opened,
    a snapshot perhaps, gets its number, and the messages of libraries."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def guarded(main: Callable[[list[str]], int], argv: Sequence[str]) -> int:
    """The exit status of ``main(argv)``: an error that it raises is told on stderr and gives 1."""
    _fill_closed_streams()
    try:
        return main(list(argv))
    except UsageError as error:
        print(f"ERROR: {error}", file=sys.stderr)
    except BrokenPipeError:  # the reader, say `head`, has gone: no more output, and no complaint
        null = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(null, number)
    except (Error, OSError) as error:
        from caffe import glog

        glog.fatal("caffe", str(error))
    return 1
