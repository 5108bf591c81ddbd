"""Lists of image files, one ``path label`` a line, as ImageData and convert_imageset read them."""

from __future__ import annotations

import os
import re
import warnings

from caffe.errors import DataError

__all__ = ["ImageListWarning", "read_list"]


class ImageListWarning(UserWarning):
    """Lines of an image list whose label is no whole number."""


def read_list(path: str) -> list[tuple[str, int]]:
    """The lines ``path label`` of a list: split at the last space, the label as C's atoi reads it.

    Raises:
        DataError: the list cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            text = stream.read()
    except OSError as error:
        raise DataError(
            f"cannot read the list {path}: {error.strerror or error} (working directory "
            f"{os.getcwd()}); expected a text file of lines 'path label'"
        ) from error
    lines = text.split(b"\n")
    if not lines[-1]:
        lines.pop()
    found = []
    odd = []
    for number, line in enumerate(lines, 1):
        name, space, label = line.rpartition(b" ")
        found.append((os.fsdecode(name if space else line), _atoi(label)))
        if not re.fullmatch(rb"[+-]?\d{1,10}\s*", label) or not space:
            odd.append((number, line, found[-1][1]))
    if odd:
        number, line, value = odd[0]
        more = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
        warnings.warn(
            f"{path}:{number}{more}: '{os.fsdecode(line[:80])}' has no whole number behind its "
            f"last space; its label is {value}, as in BVLC Caffe. Expected 'path label'.",
            ImageListWarning,
            stacklevel=2,
        )
    return found


def _atoi(text: bytes) -> int:
    """C's atoi: the whole number that the text begins with, 0 where there is none."""
    match = re.match(rb"\s*([+-]?)0*(\d{0,20})", text)  # 20 digits are beyond 64 bits
    sign, digits = match.groups() if match else (b"", b"")
    value = min(int(digits or 0), 2**63 - (sign != b"-")) * (-1 if sign == b"-" else 1)
    return (value + 2**31) % 2**32 - 2**31  # of 64 bits the lower 32
