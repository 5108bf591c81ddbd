"""The protobuf wire format, read in place: where each field of a message lies, nothing copied.

A message is a run of fields, each a tag (field number * 8 + wire type) and a payload.  The files of
Caffe are read this way because the protobuf runtime would build every float as an object's member
first; here a blob's numbers are a byte range that is copied once.
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = [
    "BYTES",
    "FIXED32",
    "FIXED64",
    "VARINT",
    "Field",
    "WireError",
    "fields",
    "read_varint",
    "varint",
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class WireError(Exception):
    """The bytes at ``offset`` are no field; the message says why."""

    def __init__(self, message: str, offset: int):
        super().__init__(message)
        self.offset = offset


class Field(NamedTuple):
    """One field: its payload lies in ``start:end``; ``value`` is set for wire type VARINT only.

    ``missing`` is the number of payload bytes beyond the end of the enclosing message (only for
    BYTES: everything else that is cut off is an error at once).
    """

    number: int
    kind: int
    offset: int
    start: int
    end: int
    value: int = 0
    missing: int = 0


def read_varint(data: Any, position: int, end: int) -> tuple[int, int]:
    """The unsigned number at ``position``, and the position after it."""
    start = position
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise WireError("the data end inside a number", start)
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise WireError("a number of more than 10 bytes", start)


def fields(data: Any, start: int, end: int) -> Iterator[Field]:
    """The fields of the message in ``data[start:end]``, in order.

    A length-delimited field that reaches beyond ``end`` is clamped to it and says how much is
    missing, so that the caller can look inside and tell which part was cut.
    """
    position = start
    while position < end:
        offset = position
        tag, position = read_varint(data, position, end)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise WireError("a field with number 0", offset)
        if kind == VARINT:
            value, after = read_varint(data, position, end)
            yield Field(number, kind, offset, position, after, value)
            position = after
        elif kind == BYTES:
            size, position = read_varint(data, position, end)
            missing = max(0, position + size - end)
            after = position + size - missing
            yield Field(number, kind, offset, position, after, 0, missing)
            position = after
        elif kind in (FIXED32, FIXED64):
            after = position + (4 if kind == FIXED32 else 8)
            if after > end:
                raise WireError("the data end inside a number", offset)
            yield Field(number, kind, offset, position, after)
            position = after
        else:
            raise WireError(f"wire type {kind} in field {number}", offset)


def varint(value: int) -> bytes:
    """A number as the wire format writes it; negative numbers take ten bytes."""
    value &= 0xFFFFFFFFFFFFFFFF
    result = bytearray()
    while value >= 128:
        result.append(value & 127 | 128)
        value >>= 7
    result.append(value)
    return bytes(result)
