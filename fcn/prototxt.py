"""Prototxts read, and protobuf messages as text, the same text on every protobuf version.

protobuf's own printer writes a float32 of 0.0001 as 9.999999747378752e-05 in some versions and as
0.0001 in others; generated files that are checked in must not depend on that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf import text_format

from caffe.proto import caffe_pb2
from fcn.atomic import write_text

if TYPE_CHECKING:
    from google.protobuf.message import Message


class DamagedPrototxt(ValueError):
    """A file that is no prototxt of the kind that was expected; the message names it."""


def float_text(value: float) -> str:
    """The shortest decimal that gives the same float32 again: 0.01, 1e-10, 2."""
    single = np.float32(value)
    if single == int(single) and abs(single) < 1e7:
        return str(int(single))
    for digits in range(1, 10):  # nine significant digits always suffice
        text = "{:.{}g}".format(value, digits)
        if np.float32(text) == single:
            break
    return text


def quoted(text: str) -> str:
    """The string as every protobuf reads it: what is no printable ASCII as octal bytes of UTF-8."""
    special = {ord("\\"): "\\\\", ord('"'): '\\"'}
    return '"{}"'.format(
        "".join(
            special.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")
            for byte in text.encode("utf-8")
        )
    )


def _value(field: Any, value: Any) -> str:
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return float_text(value)
    if field.type == field.TYPE_ENUM:
        return field.enum_type.values_by_number[value].name
    if field.type == field.TYPE_BOOL:
        return "true" if value else "false"
    if field.type == field.TYPE_STRING:
        return quoted(value)
    return str(value)


def _lines(message: Message, indent: str) -> Iterator[str]:
    for field, value in message.ListFields():  # in the order of the field numbers
        # Not __iter__: the repeated messages of protobuf 3.12 have none.
        repeated = hasattr(value, "__len__") and not isinstance(value, (str, bytes))
        values = value if repeated else [value]
        for item in values:
            if field.type == field.TYPE_MESSAGE:
                yield f"{indent}{field.name} {{"
                yield from _lines(item, indent + "  ")
                yield indent + "}"
            else:
                yield f"{indent}{field.name}: {_value(field, item)}"


def to_text(message: Message) -> str:
    """The message in protobuf's text format, fields in the order of their numbers."""
    return "\n".join(_lines(message, "")) + "\n"


def write_prototxt(path: str, message: Message) -> str:
    """Write the message as a prototxt, whole or not at all; returns the path."""
    write_text(path, to_text(message))
    return path


def read_net(path: str) -> caffe_pb2.NetParameter:
    """A net's prototxt; DamagedPrototxt."""
    return _read(path, caffe_pb2.NetParameter())


def read_solver(path: str) -> caffe_pb2.SolverParameter:
    """A solver's prototxt; DamagedPrototxt."""
    return _read(path, caffe_pb2.SolverParameter())


def _read(path: str, message: Any) -> Any:
    try:
        with open(path, encoding="utf-8") as f:
            text_format.Merge(f.read(), message)
    except (text_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedPrototxt(
            f"'{path}' is no {type(message).__name__} as a prototxt: {str(error)[:500]}"
        ) from error
    return message
