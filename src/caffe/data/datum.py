"""Records of databases: one picture or array and its label each, a ``Datum``."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from caffe.errors import DataError
from caffe.proto import caffe_pb2

__all__ = ["parse_datum"]


def parse_datum(value: bytes) -> Any:
    """The ``Datum`` that a record holds; raises DataError where it holds none."""
    try:
        return caffe_pb2.Datum.FromString(value)
    except DecodeError as error:
        raise DataError(
            f"no Datum ({error}): expected what convert_imageset or array_to_datum writes"
        ) from error
