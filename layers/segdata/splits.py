"""The list of a split: one entry a line."""

import os

from segdata.errors import DataError

__all__ = ["read_split"]


def read_split(path: str, remedy: str) -> list[str]:
    """The non-empty lines of a split's list; ``remedy`` says what to do when it is missing."""
    try:
        with open(path, encoding="utf-8") as lines:
            return [line.strip() for line in lines if line.strip()]
    except OSError as error:
        raise DataError(
            f"cannot read the split's list '{os.path.abspath(path)}' ({error.strerror}); {remedy}"
        ) from error
