"""BlobProto on the wire: finding a blob's numbers in a file, and framing numbers to be written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.weights import wire
from caffe.weights.stored_blob import Segment, StoredBlob

__all__ = ["frame_blob", "parse_blob"]

# Field numbers of BlobProto.
_NUM, _WIDTH = 1, 4  # num, channels, height, width: the legacy shape
_DATA, _DIFF, _SHAPE, _DOUBLE_DATA, _DOUBLE_DIFF = 5, 6, 7, 8, 9
_SIZES = {_DATA: 4, _DIFF: 4, _DOUBLE_DATA: 8, _DOUBLE_DIFF: 8}  # bytes per number
# NVIDIA Caffe's: the type of the raw numbers, by the field that holds them, and its sizes.
_RAW_DATA, _RAW_DIFF = 12, 13
_RAW_TYPE = {_RAW_DATA: 10, _RAW_DIFF: 11}
_RAW_SIZES = {0: 8, 1: 4, 2: 2}  # double, float, half; 3 and 4 are whole numbers
_DIM = 1  # of BlobShape
_MOST_AXES = 32  # of a blob in BVLC; numbers taken for a shape end here, before they fill memory


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _dims(buffer: Any, message: wire.Field) -> list[int]:
    """The lengths in a BlobShape; packed or one by one."""
    if message.missing:
        raise wire.WireError("the file ends inside the blob's shape", message.offset)
    dims: list[int] = []
    for field in wire.fields(buffer, message.start, message.end):
        if field.missing:
            raise wire.WireError("a length beyond the end of the blob's shape", field.offset)
        if field.number != _DIM:
            continue
        position = field.start
        end = field.start + 1 if field.kind == wire.VARINT else field.end
        while position < end:
            value, position = wire.read_varint(buffer, position, field.end)
            dims.append(value)
            if len(dims) > _MOST_AXES:
                raise wire.WireError(f"a shape of more than {_MOST_AXES} axes", message.offset)
    return [_signed(d, 64) for d in dims]


def _packed(field: wire.Field, size: int) -> Segment:
    """A packed run of numbers."""
    present = field.end - field.start
    expected = present + field.missing
    if field.missing:
        raise wire.WireError(
            f"the file ends inside the blob's numbers: expected {expected} bytes from offset "
            f"{field.start}, {present} are there",
            field.start,
        )
    if present % size:
        raise wire.WireError(
            f"{present} bytes of numbers, expected a multiple of {size}", field.start
        )
    return Segment(field.start, present // size, size, size)


def _raw(field: wire.Field | None, kind: int | None) -> list[Segment]:
    """The numbers of a field that holds them as bytes of one type."""
    if field is None or field.end == field.start:
        return []
    if kind not in _RAW_SIZES:
        raise wire.WireError(
            f"raw numbers of the type {kind}, expected {', '.join(map(str, _RAW_SIZES))} (double, "
            "float or half precision, as NVIDIA Caffe writes them)",
            field.offset,
        )
    return [_packed(field, _RAW_SIZES[kind])]


def _unpacked(buffer: Any, first: wire.Field, size: int, end: int) -> Segment:
    """The run of single numbers that begins with ``first``, measured without a step for each."""
    if first.start != first.offset + 1:  # a tag written in more bytes than it needs
        return Segment(first.start, 1, size, size)
    tag = buffer[first.offset]
    stride = size + 1
    limit = (end - first.offset) // stride
    count = 0
    while count < limit:
        n = min(limit - count, 1 << 20)
        tags = np.frombuffer(buffer, np.uint8, n * stride, first.offset + count * stride)[::stride]
        other = np.flatnonzero(tags != tag)
        if len(other):
            count += int(other[0])
            break
        count += n
    return Segment(first.offset, count, size, stride)


def parse_blob(buffer: Any, start: int, end: int, where: str) -> StoredBlob:
    """Read the BlobProto in ``buffer[start:end]`` without touching its numbers.

    Raises:
        wire.WireError: it is cut off or not a BlobProto.
    """
    legacy: list[int] | None = None
    shape: list[int] = []
    segments: dict[int, list[Segment]] = {number: [] for number in _SIZES}
    types: dict[int, int] = {}
    raw: dict[int, wire.Field] = {}
    unknown: set[int] = set()
    position = start
    while position < end:
        for field in wire.fields(buffer, position, end):
            position = field.end
            if _NUM <= field.number <= _WIDTH and field.kind == wire.VARINT:
                legacy = legacy or [0, 0, 0, 0]
                legacy[field.number - _NUM] = _signed(field.value, 32)
            elif field.number == _SHAPE and field.kind == wire.BYTES:
                shape += _dims(buffer, field)
            elif field.number in _SIZES:
                size = _SIZES[field.number]
                if field.kind == wire.BYTES:
                    segments[field.number].append(_packed(field, size))
                    continue
                if field.kind != (wire.FIXED32 if size == 4 else wire.FIXED64):
                    raise wire.WireError("the blob's numbers are not numbers", field.offset)
                run = _unpacked(buffer, field, size, end)
                segments[field.number].append(run)
                if run.count > 1:
                    position = run.offset + run.count * run.stride
                    break  # read on behind the run
            elif field.missing:
                raise wire.WireError("the file ends inside the blob", field.offset)
            elif field.number in _RAW_TYPE.values() and field.kind == wire.VARINT:
                types[field.number] = field.value
            elif field.number in _RAW_TYPE and field.kind == wire.BYTES:
                raw[field.number] = field
            else:
                unknown.add(field.number)
    raw_data, raw_diff = (_raw(raw.get(n), types.get(_RAW_TYPE[n])) for n in _RAW_TYPE)
    blob = StoredBlob(
        where,
        buffer,
        shape,
        legacy,
        # As in BVLC, doubles count where both are stored.
        raw_data or segments[_DOUBLE_DATA] or segments[_DATA],
        raw_diff or segments[_DOUBLE_DIFF] or segments[_DIFF],
        unknown,
    )
    if any(d < 0 for d in blob.dims):
        raise wire.WireError(f"a negative length in the blob's shape {blob.dims}", start)
    return blob


def frame_blob(shape: Sequence[int], count: int, diff: bool) -> tuple[bytes, bytes, bytes, int]:
    """What surrounds the numbers of a BlobProto: before data, before diff, at the end; total size.

    The data, ``4 * count`` bytes, follow the first part, the diff (if any) the second.
    """
    head = b"\x2a" + wire.varint(4 * count) if count else b""
    middle = b"\x32" + wire.varint(4 * count) if diff and count else b""
    tail = b""
    if len(shape):
        dims = b"".join(wire.varint(d) for d in shape)
        packed = b"\x0a" + wire.varint(len(dims)) + dims
        tail = b"\x3a" + wire.varint(len(packed)) + packed
    total = len(head) + len(middle) + len(tail) + 4 * count * (2 if diff else 1)
    return head, middle, tail, total
