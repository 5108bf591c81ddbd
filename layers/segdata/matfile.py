"""MATLAB's MAT files, version 5, as far as label maps and lists need them.

SciPy's reader believes what a file says of itself: a damaged one makes it read outside its memory,
and the process ends. Here every length is compared with what is there before it is used.

Layout (MathWorks, "MAT-File Format"): a header of 128 bytes, then elements: a type, a length, data,
padded to 8 bytes. A variable is an element of type MATRIX whose data are elements again: flags with
the class, the dimensions, the name, the contents; or the same, compressed by zlib.
"""

import math
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

__all__ = ["MatError", "Variable", "field", "value", "variables"]

#: NumPy's type of the numbers in an element, by the element's type.
NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
TEXT = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHAR, FIRST_NUMERIC, LAST_NUMERIC = 1, 2, 4, 6, 15
COMPLEX = 0x0800

#: The most that one variable may take once decompressed: a label map of 64 million numbers.
MOST = 1 << 29
#: How deep cells and structs may be nested.
DEEPEST = 16


class MatError(ValueError):
    """A file that is no MAT file of version 5, or is damaged; says in what."""


class Variable(NamedTuple):
    """A variable, or a part of one, whose contents are not read yet.

    ``order`` is "<" or ">", that of the file's bytes.
    """

    name: str
    kind: int
    is_complex: bool
    shape: tuple[int, ...]
    contents: memoryview
    order: str


def variables(data: bytes) -> Iterator[Variable]:
    """The variables of a file, one after the other."""
    if len(data) < 128:
        raise MatError(f"it has {len(data)} bytes, a MAT file 128 at least")
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data[:19] == b"MATLAB 7.3 MAT-file":
        raise MatError("it is of version 7.3 (HDF5); save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise MatError("its header is not that of a MAT file of version 5")
    rest = memoryview(data)[128:]
    at = 0
    while at < len(rest):
        kind, contents, at = _element(rest, at, order)
        if kind == COMPRESSED:
            kind, contents, _ = _element(memoryview(_decompressed(contents)), 0, order)
        if kind == MATRIX and len(contents):
            yield _variable(contents, order)


def value(variable: Variable, depth: int = 0) -> Any:
    """Its contents: an array of numbers in the type they are stored in, text, or a list of cells.

    A cell is a value again; None stands for kinds that are not read (sparse, objects, structs).
    """
    kind, shape = variable.kind, variable.shape
    if kind == CELL:
        return [value(part, depth + 1) for part in _parts(variable, _count(shape), depth)]
    if kind != CHAR and not FIRST_NUMERIC <= kind <= LAST_NUMERIC:
        return None
    if variable.is_complex:
        raise MatError(f"'{variable.name}' holds complex numbers")
    stored, contents = 2, variable.contents[:0]
    if len(variable.contents):
        stored, contents, _ = _element(variable.contents, 0, variable.order)
    if kind == CHAR and stored in TEXT:
        return bytes(contents).decode(TEXT[stored] + _endian(stored, variable.order), "replace")
    if stored not in NUMBERS:
        raise MatError(f"'{variable.name}' holds data of the unknown type {stored}")
    dtype = np.dtype(variable.order + NUMBERS[stored])
    if len(contents) != _count(shape) * dtype.itemsize:
        raise MatError(
            f"'{variable.name}' has the dimensions {shape} and {len(contents)} bytes of numbers; "
            f"expected {_count(shape) * dtype.itemsize}"
        )
    numbers = np.frombuffer(contents, dtype).astype(dtype.newbyteorder("="))
    if kind == CHAR:
        return "".join(chr(int(n)) for n in numbers if 0 <= n < 0x110000)
    return numbers.reshape(shape, order="F")


def field(variable: Variable, name: str) -> Variable:
    """A field of a struct, of the first element where there are several."""
    if variable.kind != STRUCT:
        raise MatError(f"'{variable.name}' is no struct, so it has no '{name}'")
    _, length, at = _element(variable.contents, 0, variable.order)
    _, names, at = _element(variable.contents, at, variable.order)
    size = int(np.frombuffer(length, variable.order + "i4")[0]) if len(length) == 4 else 0
    if size < 1 or len(names) % size:
        raise MatError(f"the struct '{variable.name}' has damaged names of fields")
    fields = [
        bytes(names[i : i + size]).split(b"\0")[0].decode("latin-1")
        for i in range(0, len(names), size)
    ]
    if name not in fields:
        raise MatError(f"the struct '{variable.name}' has no '{name}'; it has {', '.join(fields)}")
    whole = variable._replace(contents=variable.contents[at:])
    return list(_parts(whole, fields.index(name) + 1, 0))[-1]


def _parts(variable: Variable, count: int, depth: int) -> Iterator[Variable]:
    """The variables that a cell array or a struct consists of, the first ``count`` of them."""
    if depth > DEEPEST:
        raise MatError(f"'{variable.name}' is nested more than {DEEPEST} deep")
    at = 0
    for _ in range(count):
        kind, contents, at = _element(variable.contents, at, variable.order)
        if kind != MATRIX:
            raise MatError(f"'{variable.name}' holds an element of type {kind}, not a matrix")
        # An empty one has no contents at all.
        yield (
            _variable(contents, variable.order)
            if len(contents)
            else Variable("", 0, False, (0, 0), contents, variable.order)
        )


def _decompressed(contents: memoryview) -> bytes:
    reader = zlib.decompressobj()
    try:
        result = reader.decompress(contents, MOST)
    except zlib.error as error:
        raise MatError(f"a compressed variable is damaged: {error}") from error
    if reader.unconsumed_tail:
        raise MatError(f"a compressed variable has more than {MOST} bytes")
    if not reader.eof:
        raise MatError("a compressed variable is cut short")
    return result


def _element(data: memoryview, at: int, order: str) -> tuple[int, memoryview, int]:
    """(type, data, where the next one begins) of the element at byte ``at``."""
    there = len(data) - at
    if there < 8:
        raise MatError("it is cut short inside an element's head")
    word, size = (int(n) for n in np.frombuffer(data[at : at + 8], order + "u4"))
    if word >> 16:  # a short one: the length in the upper half, the data in the next four bytes
        kind, size, head, padded = word & 0xFFFF, word >> 16, 4, 4
        if size > 4:
            raise MatError(f"a short element claims {size} bytes")
    else:
        kind, head = word, 8
        padded = size if kind == COMPRESSED else size + -size % 8
    if head + size > there:
        raise MatError(f"an element claims {size} bytes, {there - head} are there")
    return kind, data[at + head : at + head + size], at + head + padded


def _variable(contents: memoryview, order: str) -> Variable:
    flags_kind, flags, at = _element(contents, 0, order)
    shape_kind, shape, at = _element(contents, at, order)
    _, name, at = _element(contents, at, order)
    if flags_kind != 6 or len(flags) != 8 or shape_kind != 5 or len(shape) % 4 or len(shape) < 8:
        raise MatError("a variable's flags or dimensions are not of the kind they must be")
    word = int(np.frombuffer(flags[:4], order + "u4")[0])
    sizes = tuple(int(n) for n in np.frombuffer(shape, order + "i4"))
    if min(sizes) < 0 or len(sizes) > 32:
        raise MatError(f"a variable has the dimensions {sizes}")
    text = bytes(name).decode("latin-1")
    return Variable(text, word & 0xFF, bool(word & COMPLEX), sizes, contents[at:], order)


def _count(shape: tuple[int, ...]) -> int:
    return math.prod(shape)


def _endian(stored: int, order: str) -> str:
    return "" if stored == 16 else {"<": "-le", ">": "-be"}[order]
