"""The list of a split: one entry a line."""

import os

from segdata.errors import DataError

__all__ = ["read_lines", "read_split"]


def read_lines(path: str) -> list[str]:
    """The lines of a text file that are not empty, without the blanks around them.

    Between a tab and the line's ends blanks count: they may be a name's. OSError and DataError
    name the file.
    """
    try:
        with open(path, encoding="utf-8") as lines:
            found = [line.rstrip("\r\n") for line in lines if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"'{path}' is not UTF-8 text: {error}") from error
    return [line if "\t" in line else line.strip() for line in found]


def read_split(path: str, remedy: str) -> list[str]:
    """The non-empty lines of a split's list; ``remedy`` says what to do when it is missing."""
    try:
        return read_lines(path)
    except OSError as error:
        raise DataError(
            f"cannot read the split's list '{os.path.abspath(path)}' ({error.strerror}); {remedy}"
        ) from error
