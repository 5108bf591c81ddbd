"""Records of databases as Datums."""

import pytest

from caffe.data.datum import parse_datum
from caffe.errors import DataError
from caffe.proto import caffe_pb2


def test_a_record_is_a_datum_or_an_error():
    datum = caffe_pb2.Datum(channels=1, height=1, width=2, data=b"ab", label=7)
    assert parse_datum(datum.SerializeToString()) == datum
    assert parse_datum(b"") == caffe_pb2.Datum()
    with pytest.raises(DataError, match="no Datum .*: expected what convert_imageset"):
        parse_datum(b"\x0a\xff")
