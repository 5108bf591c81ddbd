"""``caffe compute_image_mean``: the mean image of a database, and the mean of each channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe import glog
from caffe.data import db, mean_file
from caffe.data.data_transformer import DataTransformer
from caffe.data.datum import parse_datum
from caffe.errors import DataError
from caffe.proto import caffe_pb2
from caffe.tools.flags import Flag, parse, run, usage

USAGE = """Compute the mean_image of a set of images given by a leveldb/lmdb
Usage:
    compute_image_mean [FLAGS] INPUT_DB [OUTPUT_FILE]"""

FLAGS = {"backend": Flag("lmdb", "The backend {leveldb, lmdb} containing the images")}

_LOG = "compute_image_mean"
_REPORT = 10000  # records


def main(argv: list[str]) -> int:
    """Run the tool; returns the exit status, 1 for a wrong number of arguments."""
    flags, arguments = parse(argv, FLAGS, USAGE)
    if len(arguments) not in (1, 2):
        return usage(USAGE, FLAGS)
    mean = mean_image(arguments[0], flags.backend)
    if len(arguments) == 2:
        glog.info(_LOG, f"Write to {arguments[1]}")
        mean_file.write(arguments[1], mean)
    glog.info(_LOG, f"Number of channels: {len(mean)}")
    for channel, plane in enumerate(mean):
        # One after the other in float32, as BVLC adds them; NumPy's sum would be more exact.
        total = np.add.accumulate(plane.ravel(), dtype=np.float32)[-1]
        value = total / np.float32(plane.size)
        glog.info(_LOG, f"mean_value channel [{channel}]: {value:g}")
    return 0


def mean_image(source: str, backend: str) -> np.ndarray:
    """The mean of a database's pictures, float32 (C, H, W), summed in float32 as BVLC does.

    Raises:
        DataError: the database cannot be read or has no records, or a record is no picture or one
            of another size; names the record.
    """
    cursor = db.open(source, backend).cursor()
    glog.info(f"db_{backend}", f"Opened {backend} {source}")
    transformer = DataTransformer(caffe_pb2.TransformationParameter(), phase=1)
    total, count = None, 0
    while True:
        key, value = cursor.item()
        try:
            pixels = _picture(transformer, value, first=total is None)
            if total is None:
                total = np.zeros(pixels.shape, np.float32)
                glog.info(_LOG, "Starting iteration")
            if pixels.shape != total.shape:
                raise DataError(
                    f"Incorrect data field size {pixels.size}: the picture is {pixels.shape}, the "
                    f"first one {total.shape} (channels, height, width). A mean needs equal sizes: "
                    "convert with -resize_height and -resize_width"
                )
        except DataError as error:
            name = key.decode(errors="backslashreplace")
            raise DataError(f"record '{name}' of {source}: {error}") from error
        total += pixels
        count += 1
        if count % _REPORT == 0:
            glog.info(_LOG, f"Processed {count} files.")
        if not cursor.next():
            break
    if count % _REPORT:
        glog.info(_LOG, f"Processed {count} files.")
    return total / np.float32(count)


def _picture(transformer: DataTransformer, value: bytes, first: bool) -> Any:
    datum = parse_datum(value)
    if first and datum.encoded:
        glog.info(_LOG, "Decoding Datum")
    return transformer.pixels(datum)


if __name__ == "__main__":
    run(main)
