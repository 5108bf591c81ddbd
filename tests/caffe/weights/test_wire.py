"""The protobuf wire format, against protobuf's own writer and on damaged bytes."""

import pytest

from caffe.proto import caffe_pb2
from caffe.weights import wire

MESSAGE = caffe_pb2.BlobProto(num=3, data=[1.5, -2], double_data=[0.25]).SerializeToString()


def found(data, start=0, end=None):
    return list(wire.fields(data, start, len(data) if end is None else end))


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**32 - 1, 2**63, 2**64 - 1])
def test_numbers_go_there_and_back(value):
    data = wire.varint(value)
    assert wire.read_varint(b"x" + data + b"y", 1, 1 + len(data)) == (value, 1 + len(data))


def test_numbers_are_written_as_protobuf_writes_them():
    for value in (-1, -(2**31), 5, 2**31 - 1):
        data = caffe_pb2.BlobProto(num=value).SerializeToString()
        assert data[1:] == wire.varint(value)
    assert len(wire.varint(-1)) == 10


def test_the_fields_of_a_message():
    number, single, double = found(MESSAGE)
    assert (number.number, number.kind, number.value) == (1, wire.VARINT, 3)
    assert (single.number, single.kind, single.end - single.start) == (5, wire.BYTES, 8)
    assert (double.number, double.end) == (8, len(MESSAGE))
    assert [f.offset for f in (number, single, double)] == [0, number.end, single.end]
    assert not any(f.missing for f in (number, single, double))


def test_numbers_of_fixed_size():
    data = bytes([1 << 3 | wire.FIXED32]) + b"abcd" + bytes([2 << 3 | wire.FIXED64]) + b"abcdefgh"
    assert [data[f.start : f.end] for f in found(data)] == [b"abcd", b"abcdefgh"]


def test_a_part_of_the_data_can_be_a_message():
    assert [f.number for f in found(b"\xff" + MESSAGE + b"\xff", 1, 1 + len(MESSAGE))] == [1, 5, 8]


def test_a_payload_that_was_cut_says_how_much_is_missing():
    last = found(MESSAGE[:-3])[-1]
    assert (last.number, last.missing, last.end) == (8, 3, len(MESSAGE) - 3)


@pytest.mark.parametrize(
    ("data", "told", "offset"),
    [
        (b"\x80", "end inside a number", 0),
        (b"\x08", "end inside a number", 1),
        (b"\x08\x01\x08\x80", "end inside a number", 3),
        (b"\x08" + b"\xff" * 10 + b"\x01", "more than 10 bytes", 1),
        (b"\x0d\x00\x00", "end inside a number", 0),
        (b"\x09" + b"\x00" * 7, "end inside a number", 0),
        (b"\x00\x01", "a field with number 0", 0),
        (b"\x0b", "wire type 3 in field 1", 0),
        (b"\x08\x01\x0f", "wire type 7 in field 1", 2),
    ],
)
def test_what_is_no_field_says_where(data, told, offset):
    with pytest.raises(wire.WireError, match=told) as error:
        found(data)
    assert error.value.offset == offset


@pytest.mark.parametrize("size", range(len(MESSAGE)))
def test_a_message_cut_anywhere_ends_or_is_an_error(size):
    try:
        ends = [field.end for field in found(MESSAGE[:size])]
    except wire.WireError as error:
        assert 0 <= error.offset <= size
    else:
        assert not ends or ends[-1] == size
