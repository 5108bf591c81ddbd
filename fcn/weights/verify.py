"""Whether a file is a whole caffemodel, from its outermost structure alone.

A caffemodel is a protobuf message: a list of fields, each a key and a value whose length is told.
Following the lengths from the first byte must end at the last. This reads a few hundred bytes of a
file of half a gigabyte, and finds what is cut short or is something else (a web page, an archive).
"""

from __future__ import annotations

import os
from typing import IO

#: Fields of NetParameter that hold layers: V1 (`layers`) and today's (`layer`).
LAYERS = (2, 100)
#: No net has so many: a file of tiny fields would take minutes to follow.
MOST = 100_000
HIGHEST = 103  # no field of NetParameter has a higher number


def problem_of(path: str) -> str | None:
    """What shows that a file is no whole caffemodel; "" if nothing does."""
    size = os.path.getsize(path)
    layers = fields = 0
    with open(path, "rb") as file:
        try:
            while file.tell() < size:
                start = file.tell()
                fields += 1
                if fields > MOST:
                    return f"it is no caffemodel: it has more than {MOST} fields"
                number, kind = divmod(_varint(file), 8)
                if not 1 <= number <= HIGHEST or kind not in (0, 1, 2, 5):
                    return f"it is no caffemodel: byte {start} begins no field of a net"
                layers += number in LAYERS and kind == 2
                if kind == 0:
                    _varint(file)
                else:
                    file.seek({1: 8, 5: 4}.get(kind) or (_varint(file) if kind == 2 else 0), 1)
        except EOFError:
            return f"it is cut short: it ends at byte {size}, inside a field"
        if file.tell() > size:
            return f"it is cut short: it has {size} bytes, its last layer ends at {file.tell()}"
    return "" if layers else "it is no caffemodel: it holds no layers"


def _varint(file: IO[bytes]) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    return value
