"""Reading and writing caffemodel files.

A caffemodel is a NetParameter whose layers hold their parameters as ``blobs``.  Reading maps the
file and checks the whole of its structure before it returns; a file that is cut off or damaged is
one :class:`~caffe.errors.WeightsError`, raised before any number is copied.

Writing streams the numbers from the blobs to a temporary file, which then takes the place of the
old one: an interrupted snapshot never replaces a good one.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from google.protobuf.message import DecodeError, Message

from caffe.atomic import atomic_write
from caffe.errors import WeightsError
from caffe.proto import caffe_pb2
from caffe.weights import wire
from caffe.weights.blob_proto import frame_blob, parse_blob
from caffe.weights.recognise import refuse_other
from caffe.weights.stored_blob import StoredBlob

__all__ = ["LayerWeights", "read_layers", "write_net"]

# Field numbers: NetParameter, then the name, type and blobs of its three generations of layers.
_NET_LAYERS_V1, _NET_LAYER = 2, 100
_V1_NESTED_V0 = 1
_LAYER_FIELDS = {"V2": (1, 2, 7), "V1": (4, 5, 6), "V0": (1, 2, 50)}
_MESSAGES: dict[str, type[Message]] = {
    "V2": caffe_pb2.LayerParameter,
    "V1": caffe_pb2.V1LayerParameter,
    "V0": caffe_pb2.V0LayerParameter,
}
_BLOBS = 7
_LONGEST_NAME = 4096  # bytes of a name in another alphabet than ASCII


@dataclass
class LayerWeights:
    """The parameters of one layer in a file.

    ``generation`` is V0, V1 (both in the field ``layers``) or V2 (``layer``).  ``blobs`` has None
    where an HDF5 file leaves out a parameter shared with an earlier layer.
    """

    name: str = ""
    type: str = ""
    blobs: list[StoredBlob | None] = field(default_factory=list)
    generation: str = "V2"


def map_file(path: str | os.PathLike[str]) -> Any:
    """The file's bytes as a memory map (an empty file: no bytes)."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return b""
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"cannot read weights from {os.fsdecode(path)}: {reason}") from error


# Reading ----------------------------------------------------------------------------------------


def damaged(path: Any, place: str, error: wire.WireError, kind: str) -> WeightsError:
    """The error of a file that the wire format cannot explain."""
    return WeightsError(
        f"{os.fsdecode(path)}{place}: {error}, at offset {error.offset}. The file is cut off, "
        f"damaged or no {kind}: get or write it again."
    )


def _text(buffer: Any, f: wire.Field) -> str:
    """A name.  Numbers that damage makes a name of are refused: as text they grow fourfold."""
    text = bytes(buffer[f.start : f.end])
    if len(text) > _LONGEST_NAME and not text.isascii():
        raise wire.WireError(f"a name of {len(text)} bytes that is no text", f.offset)
    return text.decode("utf-8", "replace")


def _type_name(buffer: Any, f: wire.Field) -> str:
    if f.kind == wire.BYTES:
        return _text(buffer, f)
    known = caffe_pb2.V1LayerParameter.LayerType.values()
    return caffe_pb2.V1LayerParameter.LayerType.Name(f.value) if f.value in known else str(f.value)


def _parse_layer(
    path: str, buffer: Any, start: int, end: int, missing: int, generation: str, place: str
) -> LayerWeights:
    """Read one layer message of any generation."""
    name_field, type_field, blobs_field = _LAYER_FIELDS[generation]
    layer = LayerWeights(generation=generation)
    known = _MESSAGES[generation].DESCRIPTOR.fields_by_number
    try:
        for f in wire.fields(buffer, start, end):
            if generation == "V1" and f.number == _V1_NESTED_V0 and f.kind == wire.BYTES:
                return _parse_layer(path, buffer, f.start, f.end, f.missing, "V0", place)
            if f.number == blobs_field and f.kind == wire.BYTES:
                place_of_blob = f"{place}, blob {len(layer.blobs)}"
                try:
                    blob = parse_blob(buffer, f.start, f.end, path + place_of_blob)
                except wire.WireError as error:
                    raise damaged(path, place_of_blob, error, "caffemodel") from error
                if f.missing:
                    raise wire.WireError(
                        f"the file ends inside blob {len(layer.blobs)}: {f.missing} bytes are "
                        "missing",
                        f.end,
                    )
                if blob.data or blob.dims:  # an empty message stands for no parameter
                    blob.check()
                layer.blobs.append(blob)
                continue
            if f.missing:
                raise wire.WireError(f"the file ends: {f.missing} bytes are missing", f.end)
            if f.number == name_field and f.kind == wire.BYTES:
                layer.name = _text(buffer, f)
                place = f", layer '{layer.name[:100]}'"
            elif f.number == type_field:
                layer.type = _type_name(buffer, f)
            if f.number != blobs_field and f.number in known:
                _check_field(_MESSAGES[generation], buffer, f)
        if missing:
            raise wire.WireError(f"the file ends: {missing} bytes are missing", end)
    except wire.WireError as error:
        raise damaged(path, place, error, "caffemodel") from error
    return layer


def _check_field(message: type[Message], buffer: Any, f: wire.Field) -> None:
    """Refuse what protobuf cannot read, as BVLC does, though no number would come of it."""
    try:
        message.FromString(bytes(buffer[f.offset : f.end]))
    except DecodeError as error:
        name = message.DESCRIPTOR.fields_by_number[f.number].name
        raise wire.WireError(f"the field {name} is damaged ({error})", f.offset) from None


def read_layers(path: str | os.PathLike[str]) -> list[LayerWeights]:
    """All layers of a caffemodel, in file order; their numbers stay in the file.

    Reads ``layer`` (since 2014) and the older ``layers`` (V1 and V0).  Every blob has as many
    numbers as its shape asks for.

    Raises:
        WeightsError: the file is missing, cut off, damaged or no weights file; names the file, the
            layer and the offset.
    """
    path = os.fsdecode(path)
    return parse_layers(path, map_file(path))


def parse_layers(path: str, buffer: Any) -> list[LayerWeights]:
    """:func:`read_layers` for a file whose bytes are at hand."""
    refuse_other(path, buffer, "caffemodel")
    found: dict[str, list[LayerWeights]] = {"V1": [], "V2": []}
    try:
        for f in wire.fields(buffer, 0, len(buffer)):
            if f.number in (_NET_LAYERS_V1, _NET_LAYER) and f.kind == wire.BYTES:
                generation = "V2" if f.number == _NET_LAYER else "V1"
                layers = found[generation]
                place = f", layer #{len(layers)}"
                layers.append(
                    _parse_layer(path, buffer, f.start, f.end, f.missing, generation, place)
                )
            elif f.missing:
                raise wire.WireError(
                    f"field {f.number} has {f.missing} bytes more than the file", f.offset
                )
    except wire.WireError as error:
        raise damaged(path, "", error, "caffemodel") from error
    oldest = any(layer.generation == "V0" for layer in found["V1"])
    if found["V1"] and found["V2"] and not oldest:  # V0 hides new layers, in BVLC too
        raise WeightsError(
            f"{path}: the file has both layers of today ('layer', {len(found['V2'])} of them) and "
            f"of before 2015 ('layers', {len(found['V1'])}), which BVLC Caffe refuses too. It is "
            "damaged, or two files were joined: get or write it again."
        )
    return found["V1"] or found["V2"]


# Writing ----------------------------------------------------------------------------------------


def _bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array, "<f4").reshape(-1).view(np.uint8).data


def blob_writer(number: int, blob: Any, diff: bool) -> tuple[int, Callable[[BinaryIO], None]]:
    """One blob as field ``number``: its size in bytes, and a function that writes it."""
    shape = tuple(blob.shape)
    count = int(np.prod(shape, dtype=np.int64))
    head, middle, tail, size = frame_blob(shape, count, diff)
    tag = wire.varint(number << 3 | wire.BYTES) + wire.varint(size)

    def write(file: BinaryIO) -> None:
        file.write(tag + head)
        file.write(_bytes(blob.data_numbers()))
        if diff:
            file.write(middle)
            file.write(_bytes(blob.diff_numbers()))
        file.write(tail)

    return len(tag) + size, write


def write_net(
    path: str | os.PathLike[str],
    net_param: Any,
    blobs_of_layers: Sequence[Sequence[Any]],
    write_diff: bool = False,
) -> None:
    """Write a caffemodel.

    Args:
        path: the file; it is replaced when the new one is complete.
        net_param: the net's NetParameter, without blobs.
        blobs_of_layers: the parameters of each layer in ``net_param``, in its order; a blob has
            ``shape``, ``data_numbers()`` and ``diff_numbers()``.
        write_diff: store the diffs too.
    """
    if len(blobs_of_layers) != len(net_param.layer):
        raise WeightsError(
            f"cannot write {os.fsdecode(path)}: the description has {len(net_param.layer)} layers, "
            f"parameters were given for {len(blobs_of_layers)}"
        )
    head = type(net_param)()
    head.CopyFrom(net_param)
    head.ClearField("layer")
    with atomic_write(path) as file:
        file.write(head.SerializeToString())
        for layer, blobs in zip(net_param.layer, blobs_of_layers):
            encoded = layer.SerializeToString()
            # Fields are written in the order of their numbers, blobs being number 7.
            cut = len(encoded)
            for f in wire.fields(encoded, 0, len(encoded)):
                if f.number > _BLOBS:
                    cut = f.offset
                    break
            writers = [blob_writer(_BLOBS, blob, write_diff) for blob in blobs]
            size = len(encoded) + sum(n for n, _ in writers)
            file.write(wire.varint(_NET_LAYER << 3 | wire.BYTES) + wire.varint(size))
            file.write(encoded[:cut])
            for _, write in writers:
                write(file)
            file.write(encoded[cut:])
