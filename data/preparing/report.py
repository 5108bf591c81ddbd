"""What the preparation scripts share: links to what the user has, checks, and a report."""

import os
import sys

from fcn.atomic import write_text

__all__ = [
    "ROOT",
    "TOLD",
    "Report",
    "find_layers",
    "link",
    "read_list",
    "tell",
    "user_path",
    "write_list",
]

#: Problems of single files that are told one by one.
TOLD = 10

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def find_layers() -> None:
    """Have ``import segdata`` find what the data layers read files with."""
    folder = os.path.join(ROOT, "layers")
    if folder not in sys.path:
        sys.path.insert(0, folder)


def user_path(text: str) -> str:
    """An absolute path for one that the user typed; "" stays."""
    return text and os.path.abspath(os.path.expanduser(text))


class Report:
    """What was found and done, what is worth knowing, and what is missing."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.notes: list[str] = []
        self.problems: list[str] = []

    def did(self, text: str) -> None:
        self.done.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def problem(self, text: str) -> None:
        self.problems.append(text)

    def files(self, root: str, ids: list[str], *patterns: str) -> None:
        """Check that each pattern's file exists under ``root`` for each id."""
        for pattern in patterns:
            paths = [os.path.join(root, pattern.format(name)) for name in ids]
            self.paths(paths, os.path.join(root, pattern.format("*")))

    def paths(self, paths: list[str], what: str) -> None:
        """Check that all ``paths`` exist; ``what`` names them in the report."""
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            self.problem(
                f"{len(missing)} of {len(paths)} files are missing, the first is '{missing[0]}'"
            )
        elif paths:
            self.did(f"{what}: {len(paths)} files are there")

    def print(self, problem: str = "MISSING") -> int:
        """Print all of it; the exit status: 0 when nothing is missing, else 1."""
        for title, lines in (("ok", self.done), ("note", self.notes), (problem, self.problems)):
            for line in lines:
                # A name whose bytes are no UTF-8 is told with them as numbers.
                text = f"{title}: {line}".encode("utf-8", "backslashreplace")
                print(text.decode("utf-8"))
        return 1 if self.problems else 0


def link(
    source: str, target: str, parts: tuple[str, ...], home: str, option: str, report: Report
) -> str:
    """Make ``target`` a link to ``source``, or check the one there is; "" when neither will do.

    ``parts`` must be in the directory; ``home`` says what it is and ``option`` how to name it.
    """
    if not source and not os.path.isdir(target):
        report.problem(
            f"no '{target}': get {home}, then say --archives DIR for the folder it is "
            f"in, or {option} DIR once it is unpacked"
        )
        return ""
    missing = [part for part in parts if not os.path.exists(os.path.join(source or target, part))]
    if missing:
        report.problem(f"'{source or target}' has no {', '.join(missing)}; expected {home}")
        return ""
    if not source or os.path.realpath(source) == os.path.realpath(target):
        report.did(f"{target} is there")
        return target
    if os.path.islink(target):
        os.remove(target)
    elif os.path.exists(target):
        report.problem(
            f"'{target}' is a directory of its own, so it is not replaced by a link to "
            f"'{source}'; move it away first"
        )
        return ""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.symlink(os.path.realpath(source), target)
    report.did(f"{target} now links to {source}")
    return target


def read_list(path: str, report: Report) -> list[str]:
    """The lines of a list of ids; a missing file is a problem in the report."""
    if not os.path.isfile(path):
        report.problem(f"no '{path}'")
        return []
    from segdata.errors import DataError
    from segdata.splits import read_lines

    try:
        return read_lines(path)
    except (DataError, OSError) as error:
        report.problem(str(error))
        return []


def write_list(path: str, ids: list[str], report: Report) -> None:
    """Write a list of ids, whole or not at all; an empty list is not written."""
    if not ids:
        return
    try:
        write_text(path, "".join(name + "\n" for name in ids))
    except OSError as error:
        report.problem(f"cannot write '{path}': {error.strerror}")
        return
    report.did(f"{path}: {len(ids)} ids written")


def tell(bad: list, count: int, report: Report, skip: bool = False) -> None:
    """The first problems of single files one by one, the rest as a number.

    skip: they are left out, and all of them are named.
    """
    if skip:
        for text in bad:
            report.note(f"left out: {text}")
        return
    for text in bad[:TOLD]:
        report.problem(text)
    if len(bad) > TOLD:
        report.problem(f"and {len(bad) - TOLD} more of {count} are bad")
    if bad:
        report.note("--skip-bad leaves such files out")
