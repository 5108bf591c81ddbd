"""Seeded mutations of prototxts (text and structure) and of files in protobuf's wire format."""

from __future__ import annotations

import functools
import random
import re

from google.protobuf import text_format

from caffe.proto import caffe_pb2

__all__ = ["hdf5_framing", "mutate_bytes", "mutate_text"]

_TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_][A-Za-z_0-9]*|-?[0-9.]+|[{}:\[\],<>;]')
_NUMBERS = [
    "0", "-1", "1", "2", "3", "5", "7", "100", "-100", "32", "33", "65536", "100000", "2147483647",
    "2147483648", "-2147483648", "4294967295", "4294967296", "9223372036854775807", "1e10", "-1e10",
    "0.5", "1e-30", "nan", "inf", "-inf", "true", "false", "0x10", "010", "1.", ".5", "1f",
]  # fmt: skip
_WORDS = ["MAX", "AVE", "STOCHASTIC", "SUM", "PROD", "TEST", "TRAIN", "CAFFE", "CUDNN", "L1", "GPU"]
_MARKS = ["{", "}", ":", "[", "]", ",", ";", "<", ">", '"', "#", "'", "\\", "\x01", "\u00e9"]


def _field_names() -> list[str]:
    names = set()
    for message in vars(caffe_pb2).values():
        descriptor = getattr(message, "DESCRIPTOR", None)
        if hasattr(descriptor, "fields"):
            names.update(field.name for field in descriptor.fields)
    return sorted(names)


_FIELDS = _field_names()


# Text ---------------------------------------------------------------------------------------------


def mutate_text(text: str, message: type, types: list[str], rng: random.Random) -> str:
    """One to three mutations of a prototxt for ``message``; ``types`` are names of layer types."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < 0.5:
            text = _mutate_structure(text, message, types, rng)
        else:
            text = _mutate_tokens(text, types, rng)
    return text


def _mutate_tokens(text: str, types: list[str], rng: random.Random) -> str:
    places = list(_TOKEN.finditer(text))
    if not places:
        return text + rng.choice(_MARKS)
    spot = rng.choice(places)
    other = rng.choice(places)
    kind = rng.randrange(9)
    if kind == 0:
        return text[: spot.start()] + text[spot.end() :]
    if kind == 1:
        return text[: spot.end()] + " " + spot.group() + text[spot.end() :]
    if kind == 2:
        return text[: spot.start()] + other.group() + text[spot.end() :]
    if kind == 3:
        return text[: rng.randrange(len(text))]
    if kind == 4:
        lines = text.split("\n")
        k = rng.randrange(len(lines))
        lines[k : k + 1] = [] if rng.random() < 0.5 else [lines[k]] * 2
        return "\n".join(lines)
    if kind == 5:
        lines = text.split("\n")
        a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[a], lines[b] = lines[b], lines[a]
        return "\n".join(lines)
    if kind == 6:
        k = rng.randrange(len(text))
        return text[:k] + rng.choice(_MARKS) + text[k + rng.randrange(2) :]
    return text[: spot.start()] + _like(spot.group(), types, rng) + text[spot.end() :]


def _like(token: str, types: list[str], rng: random.Random) -> str:
    """Another token of the same kind, mostly."""
    if rng.random() < 0.1:
        return rng.choice([*_NUMBERS, *_MARKS, *_WORDS])
    if token[0] == '"':
        return '"' + rng.choice([*types, "data", "label", "conv", "", "x", token[1:-1] + "x"]) + '"'
    if token[0].isdigit() or token[0] == "-":
        return rng.choice(_NUMBERS)
    return rng.choice(_FIELDS) if token.islower() else rng.choice(_WORDS)


def _mutate_structure(text: str, message: type, types: list[str], rng: random.Random) -> str:
    tree = message()
    try:
        text_format.Parse(text, tree)
    except text_format.ParseError:
        return _mutate_tokens(text, types, rng)
    holder = rng.choice(list(_messages(tree)))
    fields = list(holder.DESCRIPTOR.fields)
    filled = [field for field, _ in holder.ListFields()]
    field = rng.choice(filled) if filled and rng.random() < 0.75 else rng.choice(fields)
    try:
        _mutate_field(holder, field, types, rng)
        return text_format.MessageToString(tree)
    except (ValueError, TypeError, OverflowError):
        return _mutate_tokens(text, types, rng)


def _messages(message):
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in value if _is_list(value) else [value]:
                yield from _messages(child)


def _is_list(value: object) -> bool:
    return (
        not hasattr(value, "DESCRIPTOR")
        and hasattr(value, "__len__")
        and not isinstance(value, (str, bytes))
    )


def _mutate_field(holder, field, types: list[str], rng: random.Random) -> None:
    value = getattr(holder, field.name)
    kind = rng.randrange(5)
    if kind == 0:
        holder.ClearField(field.name)
    elif _is_list(value):
        if not len(value) or kind == 1:
            if field.message_type is None:
                value.append(_scalar(field, types, rng))
            elif len(value) and rng.random() < 0.7:
                value.add().CopyFrom(rng.choice(value))
            else:
                value.add()
        elif kind == 2:
            del value[rng.randrange(len(value))]
        elif field.message_type is None:
            value[rng.randrange(len(value))] = _scalar(field, types, rng)
        else:
            order = [type(v)() for v in value]
            for new, old in zip(order, value):
                new.CopyFrom(old)
            rng.shuffle(order)
            del value[:]
            for new in order:
                value.add().CopyFrom(new)
    elif field.message_type is None:
        setattr(holder, field.name, _scalar(field, types, rng))
    else:
        value.SetInParent()


def _scalar(field, types: list[str], rng: random.Random):
    if field.enum_type is not None:
        return rng.choice([v.number for v in field.enum_type.values])
    if field.cpp_type == field.CPPTYPE_STRING:
        return rng.choice([*types, "data", "label", "conv", "", "x", "xavier", "gaussian", "step"])
    if field.cpp_type == field.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return rng.choice([0.0, -1.0, 0.5, 1.0, 3.0, 1e30, -1e30, float("inf"), float("nan")])
    return rng.choice([0, 1, 2, 3, 4, 6, -1, -2, 33, 100000, 2**31 - 1, -(2**31), 2**32 - 1])


# Bytes --------------------------------------------------------------------------------------------


def mutate_bytes(data: bytes, rng: random.Random, frame: list[int] | None = None) -> bytes:
    """One to three mutations: bit flips, truncation, lengths, types, sizes, moved pieces.

    Half of them fall on the framing (tags, lengths, names, shapes), which is a small part of the
    file, the other half anywhere.  ``frame`` are its offsets; None: those of a protobuf message.
    """
    out = bytearray(data)
    frame = _framing(data) if frame is None else frame
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if not out:
            break
        anywhere = rng.randrange(len(out))
        spot = min(rng.choice(frame), len(out) - 1) if rng.random() < 0.6 else anywhere
        kind = rng.randrange(9)
        if kind == 0:
            out[spot] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[spot] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif kind == 2:
            del out[rng.choice((spot, anywhere)) :]
        elif kind == 3:
            del out[spot : spot + rng.choice((1, 2, 4, 17, 1000))]
        elif kind == 4:
            out[spot:spot] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 4, 20))))
        elif kind == 5:  # a huge number where a length or size may stand
            out[spot : spot + rng.randrange(3)] = rng.choice(
                (
                    b"\xff\xff\xff\xff\x0f",
                    b"\xff\xff\xff\xff\x07",
                    b"\x80\x80\x80\x80\x80\x80\x01",
                    b"\xff" * 9 + b"\x01",
                    b"\xff" * 11,
                    b"\x80\x80\x04",
                )
            )
        elif kind == 6:  # another wire type
            out[spot] = out[spot] & 0xF8 | rng.randrange(8)
        elif kind == 7:
            end = spot + rng.choice((3, 50, 2000))
            out[spot:spot] = out[spot:end]
        else:
            out += rng.choice((b"\0", b"\x0a\x7f", b"\xa2\x06\x00", bytes(10), b"\x12\x00"))
    return bytes(out)


def hdf5_framing(path: str) -> list[int]:
    """Offsets of an HDF5 file outside its numbers: headers, trees, names, sizes."""
    import h5py

    with h5py.File(path, "r") as file:
        ends = [0]
        end = file.id.get_filesize()

        def note(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset) and item.id.get_offset() is not None:
                ends.extend((item.id.get_offset(), item.id.get_offset() + item.nbytes))

        file.visititems(note)
    ends = [*sorted(ends), end]
    gaps = zip(ends[::2], ends[1::2])
    return [k for a, b in gaps for k in range(a, b)]


@functools.lru_cache(maxsize=16)
def _framing(data: bytes) -> list[int]:
    """Offsets outside the long runs of numbers."""
    from caffe.weights import wire

    spots: list[int] = []

    def walk(start: int, end: int) -> None:
        for field in wire.fields(data, start, end):
            spots.extend(range(field.offset, field.start))
            size = field.end - field.start
            if field.kind == wire.BYTES and size > 120 and _is_message(field.start, field.end):
                walk(field.start, field.end)
            elif size <= 120:
                spots.extend(range(field.start, field.end))

    def _is_message(start: int, end: int) -> bool:
        try:
            return sum(1 for _ in wire.fields(data, start, end)) > 0 and data[start] in (
                0x0A, 0x12, 0x22, 0x2D, 0x3A, 0x08, 0x2A, 0x32, 0x4A,
            ) and not any(f.missing for f in wire.fields(data, start, end))  # fmt: skip
        except wire.WireError:
            return False

    walk(0, len(data))
    return spots
