"""``caffe convert_cifar_data``: CIFAR-10's binary batches into two databases, train and test.

Each batch is records of one label and 3 x 32 x 32 bytes, red before green before blue.  Names, keys
and records are BVLC's: ``cifar10_train_TYPE`` and ``cifar10_test_TYPE``, five digits.  A batch of
another number of whole records than 10,000 is taken as it is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np

from caffe import glog
from caffe.data import db
from caffe.errors import DataError
from caffe.proto import caffe_pb2
from caffe.tools.flags import help_text, parse

__all__ = ["main"]

USAGE = """This script converts the CIFAR dataset to the leveldb format used by caffe to perform
classification.
Usage:
    convert_cifar_data input_folder output_folder db_type
Where the input folder should contain the binary batch files.
The CIFAR dataset could be downloaded at
    http://www.cs.toronto.edu/~kriz/cifar.html
You should gunzip them after downloading."""

_SIZE = 32
_BYTES = 3 * _SIZE * _SIZE
_BATCH = 10000  # records of a published file; keys count by it
_LOG = "convert_cifar_data"


def main(argv: list[str]) -> int:
    """Run the tool; returns the exit status, 0 also for the usage, as BVLC's."""
    _, arguments = parse(argv, {}, USAGE)
    if len(arguments) != 3:
        print(help_text(USAGE, {}))
        return 0
    source, target, backend = arguments
    batches = [f"data_batch_{number}.bin" for number in range(1, 6)]
    with _database(os.path.join(target, f"cifar10_train_{backend}"), backend) as writer:
        glog.info(_LOG, "Writing Training data")
        for number, name in enumerate(batches):
            glog.info(_LOG, f"Training Batch {number + 1}")
            _put(writer, os.path.join(source, name), number * _BATCH)
    glog.info(_LOG, "Writing Testing data")
    with _database(os.path.join(target, f"cifar10_test_{backend}"), backend) as writer:
        _put(writer, os.path.join(source, "test_batch.bin"), 0)
    return 0


@contextlib.contextmanager
def _database(path: str, backend: str) -> Iterator[db.Writer]:
    with db.create(path, backend) as writer:
        glog.info(f"db_{backend}", f"Opened {backend} {path}")
        yield writer


def _put(writer: db.Writer, path: str, first: int) -> None:
    """Add the records of a batch, under keys that count from ``first``."""
    for number, record in enumerate(_records(path), first):
        datum = caffe_pb2.Datum(channels=3, height=_SIZE, width=_SIZE)
        datum.label = int(record[:1].view(np.int8)[0])  # BVLC's is a char: signed
        datum.data = record[1:].tobytes()
        writer.put(b"%05d" % number, datum.SerializeToString())
    writer.commit()


def _records(path: str) -> np.ndarray:
    """The records of a batch, uint8 (N, 1 + 3072)."""
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"Unable to open train file {path}: {error.strerror or error}") from error
    if not content.size or content.size % (1 + _BYTES) or content.size > _BATCH * (1 + _BYTES):
        raise DataError(
            f"{path} has {content.size} bytes: expected up to {_BATCH} records of {1 + _BYTES} "
            "(the binary version of CIFAR-10, unpacked); the file is damaged or another one"
        )
    return content.reshape(-1, 1 + _BYTES)
