"""What a file is that was given in the place of weights or of a solverstate, by its first bytes."""

from __future__ import annotations

from typing import Any

from caffe.errors import WeightsError
from caffe.weights import wire

__all__ = ["refuse_other"]

_KINDS = (
    (b"\x1f\x8b", "is compressed (gzip): unpack it first"),
    (b"BZh", "is compressed (bzip2): unpack it first"),
    (b"\xfd7zXZ", "is compressed (xz): unpack it first"),
    (b"PK\x03\x04", "is a zip archive (PyTorch's files are too), not a caffemodel"),
    (b"\x80\x02", "is a Python pickle, not a caffemodel"),
    (b"\x93NUMPY", "is a NumPy array, not a caffemodel"),
    (b"\x89PNG", "is a picture"),
    (b"\xff\xd8\xff", "is a picture"),
)
_POINTER = b"version https://git-lfs"
_LOOK = 512  # bytes


def refuse_other(path: str, buffer: Any, expected: str) -> None:
    """Raise WeightsError where the file is plainly something else than ``expected``, a caffemodel
    or a solverstate; say what it is."""
    head = bytes(buffer[:_LOOK])
    what = _what(head) or _whose_state(buffer, expected)
    if what:
        raise WeightsError(f"{path} {what} (a {expected} was expected)")


def _what(head: bytes) -> str:
    if not head:
        return "is empty (0 bytes): get or write it again"
    if head.startswith(_POINTER):
        return (
            "is a pointer of Git LFS, not the file itself: fetch that with `git lfs pull`, or "
            "download it from the repository's page"
        )
    for start, what in _KINDS:
        if head.startswith(start):
            return what
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return (
            "is a web page, often a login or error page in the place of the file: download it again"
        )
    if head[:1] != b"\n" and head.isascii() and all(c >= 32 or c in b"\t\r\n" for c in head):
        return (
            "is text: a prototxt describes the net and belongs in the place of the model; weights "
            "are in a binary file"
        )
    return ""


def _whose_state(buffer: Any, expected: str) -> str:
    """A solverstate begins with the number of iterations, a caffemodel never with a number."""
    try:
        first = next(wire.fields(buffer, 0, len(buffer)))
    except wire.WireError:
        return ""
    if expected == "caffemodel" and first.number == 1 and first.kind == wire.VARINT:
        return (
            "is a solverstate: it names the file of weights that belongs to it. Give the file of "
            "the same name with .caffemodel"
        )
    return ""
