"""``caffe convert_mnist_data`` and ``convert_mnist_siamese_data``: MNIST's files into a database.

MNIST's own format (IDX): a magic number, the lengths of the axes, then one byte a value; numbers
are big-endian.  Keys and records are BVLC's: the item's number in eight digits; for the siamese net
two pictures drawn at random as two channels, label 1 where they show the same digit.  A file that
is cut short is an error, where BVLC's tools store what lay in memory.
"""

from __future__ import annotations

import numpy as np

from caffe import glog, rng
from caffe.data import db
from caffe.errors import DataError
from caffe.proto import caffe_pb2
from caffe.tools.flags import Flag, help_text, parse

__all__ = ["main", "siamese"]

_PICTURES, _LABELS = 2051, 2049  # the magic numbers
_COMMIT = 1000  # records
_LOG = "convert_mnist_data"
_WHERE = """\
The MNIST dataset could be downloaded at
    http://yann.lecun.com/exdb/mnist/
You should gunzip the files after downloading."""

USAGE = f"""This script converts the MNIST dataset to the lmdb/leveldb format used by Caffe.
Usage:
    convert_mnist_data [FLAGS] input_image_file input_label_file output_db_file
{_WHERE}"""
SIAMESE_USAGE = f"""This script converts the MNIST dataset to the leveldb format used by Caffe to
train a siamese network: pairs of pictures, label 1 where both show the same digit.
Usage:
    convert_mnist_siamese_data [FLAGS] input_image_file input_label_file output_db_file
{_WHERE}"""


def main(argv: list[str]) -> int:
    """Run convert_mnist_data; returns the exit status, 0 also for the usage, as BVLC's."""
    flags = {"backend": Flag("lmdb", "The backend for storing the result: lmdb, leveldb")}
    values, arguments = parse(argv, flags, USAGE)
    if len(arguments) != 3:
        print(help_text(USAGE, flags))
        return 0
    pictures, labels = _read(*arguments[:2])
    with db.create(arguments[2], values.backend) as writer:
        glog.info(f"db_{values.backend}", f"Opened {values.backend} {arguments[2]}")
        glog.info(_LOG, f"A total of {len(pictures)} items.")
        glog.info(_LOG, f"Rows: {pictures.shape[1]} Cols: {pictures.shape[2]}")
        for item, (picture, label) in enumerate(zip(pictures, labels), 1):
            writer.put(b"%08d" % (item - 1), _record(picture[None], int(label)))
            if item % _COMMIT == 0:
                writer.commit()
    glog.info(_LOG, f"Processed {len(pictures)} files.")
    return 0


def siamese(argv: list[str]) -> int:
    """Run convert_mnist_siamese_data; returns the exit status."""
    flags = {"backend": Flag("leveldb", "The backend for storing the result: leveldb, lmdb")}
    values, arguments = parse(argv, flags, SIAMESE_USAGE)
    if len(arguments) != 3:
        print(help_text(SIAMESE_USAGE, flags))
        return 0
    pictures, labels = _read(*arguments[:2])
    pairs = rng.get().u32(2 * len(pictures)).reshape(-1, 2) % np.uint32(len(pictures))
    with db.create(arguments[2], values.backend) as writer:
        for item, pair in enumerate(pairs, 1):
            same = labels[pair[0]] == labels[pair[1]]
            writer.put(b"%08d" % (item - 1), _record(pictures[pair], int(same)))
            if item % _COMMIT == 0:
                writer.commit()
    return 0


def _record(planes: np.ndarray, label: int) -> bytes:
    channels, height, width = planes.shape
    datum = caffe_pb2.Datum(channels=channels, height=height, width=width, label=label)
    datum.data = planes.tobytes()
    return datum.SerializeToString()


def _read(image_file: str, label_file: str) -> tuple[np.ndarray, np.ndarray]:
    """The pictures (N, rows, columns) and the labels (N)."""
    pictures = _read_idx(image_file, _PICTURES, "image", 3)
    labels = _read_idx(label_file, _LABELS, "label", 1).view(np.int8)  # BVLC's are chars: signed
    if len(pictures) != len(labels):
        raise DataError(
            f"{image_file} holds {len(pictures)} pictures, {label_file} {len(labels)} labels: "
            "expected the two files of one set (train-… or t10k-…)"
        )
    return pictures, labels


def _read_idx(path: str, magic: int, kind: str, axes: int) -> np.ndarray:
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise DataError(f"Unable to open file {path}: {error.strerror or error}") from error
    if content[:2] == b"\x1f\x8b":
        raise DataError(f"{path} is compressed: gunzip it first")
    header = np.frombuffer(content, ">u4", min(len(content) // 4, 1 + axes))
    if not len(header) or header[0] != magic:
        found = header[0] if len(header) else "none"
        raise DataError(
            f"{path}: Incorrect {kind} file magic. Expected {magic}, found {found}: is it MNIST's "
            f"file of {kind}s?"
        )
    shape = tuple(int(length) for length in header[1:])
    expected = 4 * (1 + axes) + int(np.prod(shape, dtype=object)) if len(shape) == axes else 0
    if len(shape) < axes or len(content) != expected or not shape[0]:
        raise DataError(
            f"{path} has {len(content)} bytes, its header says {shape}, which takes {expected}: "
            "the file is damaged, get it again"
        )
    return np.frombuffer(content, np.uint8, offset=4 * (1 + axes)).reshape(shape)
