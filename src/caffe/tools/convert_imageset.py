"""``caffe convert_imageset``: the images of a list into an LMDB or LevelDB of Datum records.

Records, keys and log lines are BVLC's: the key is the line's number in eight digits, an underscore
and the path as listed; channels are B, G, R; an unreadable image is logged and left out.  The
database appears under its name only when it is complete.
"""

from __future__ import annotations

import io
import os
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from caffe import glog, rng
from caffe.data import db, image_files
from caffe.data.image_list import read_list
from caffe.errors import DataError
from caffe.proto import caffe_pb2
from caffe.rng import shuffled
from caffe.tools.flags import Flag, parse, run, usage

USAGE = """Convert a set of images to the leveldb/lmdb format used as input for Caffe.
Usage:
    convert_imageset [FLAGS] ROOTFOLDER/ LISTFILE DB_NAME
LISTFILE has lines 'path label'; ROOTFOLDER/ is put before each path as it is."""

FLAGS = {
    "backend": Flag("lmdb", "The backend {lmdb, leveldb} for storing the result"),
    "check_size": Flag(False, "When this option is on, check that all images have the same size"),
    "encode_type": Flag("", "Optional: the type to encode images as ('png', 'jpg', ...)"),
    "encoded": Flag(False, "When this option is on, image files go into the records, not pixels"),
    "gray": Flag(False, "When this option is on, treat images as grayscale ones"),
    "resize_height": Flag(0, "Height images are resized to, with resize_width"),
    "resize_width": Flag(0, "Width images are resized to, with resize_height"),
    "shuffle": Flag(False, "Randomly shuffle the order of images and their labels"),
}

_COMMIT = 1000  # records
_LOG = "convert_imageset"

# File name extensions and what Pillow calls the formats.
_FORMATS = {
    "png": "PNG",
    "jpg": "JPEG",
    "jpeg": "JPEG",
    "bmp": "BMP",
    "ppm": "PPM",
    "pgm": "PPM",
    "tif": "TIFF",
    "tiff": "TIFF",
}


def main(argv: list[str]) -> int:
    """Run the tool; returns the exit status, 1 for a wrong number of arguments."""
    flags, arguments = parse(argv, FLAGS, USAGE)
    if len(arguments) != 3:
        return usage(USAGE, FLAGS)
    root, listing, out = arguments
    convert(root, listing, out, flags)
    return 0


def convert(root: str, listed: str, target: str, flags: SimpleNamespace) -> int:
    """Make the database ``target`` of the images in the list; returns the number of records.

    Raises:
        DataError: the list is missing or empty, no image can be read, sizes differ with
            ``check_size``, or the database exists or cannot be written.
    """
    lines = read_list(listed)
    if not lines:
        raise DataError(f"the list {listed} is empty: expected lines 'path label'")
    order = np.arange(len(lines))
    if flags.shuffle:
        glog.info(_LOG, "Shuffling data")
        order = shuffled(order, rng.get())
    glog.info(_LOG, f"A total of {len(lines)} images.")
    if flags.encode_type and not flags.encoded:
        glog.info(_LOG, "encode_type specified, assuming encoded=true.")
    if (flags.resize_height > 0) != (flags.resize_width > 0):
        glog.warning(_LOG, "resize_height and resize_width take effect only together: no resizing")
    count, first_size = 0, None
    with db.create(target, flags.backend) as writer:
        glog.info(f"db_{flags.backend}", f"Opened {flags.backend} {target}")
        for number, index in enumerate(order):
            path, label = lines[index]
            try:
                datum, size = make_datum(root + path, flags)
            except UnreadableImage as error:
                glog.error("io", str(error))
                continue
            if flags.check_size:
                first_size = first_size or size
                if size != first_size:
                    raise DataError(
                        f"Incorrect data field size: {root + path} is {_words(size)}, the first "
                        f"image is {_words(first_size)} (channels x height x width). With "
                        "-check_size all must be equal: resize them (-resize_height, -resize_width)"
                    )
            datum.label = label
            key = f"{number:08d}_{path}"
            writer.put(os.fsencode(key), datum.SerializeToString())
            count += 1
            if count % _COMMIT == 0:
                writer.commit()
                glog.info(_LOG, f"Processed {count} files.")
        if not count:
            raise DataError(
                f"none of the {len(lines)} images of {listed} could be read; ROOTFOLDER/ is put "
                f"before each path as it is, so the first one is '{root + lines[0][0]}'"
            )
    if count % _COMMIT:
        glog.info(_LOG, f"Processed {count} files.")
    return count


class UnreadableImage(DataError):
    """An image that is left out."""


def make_datum(path: str, flags: SimpleNamespace) -> tuple[Any, tuple[int, ...]]:
    """The Datum of an image file, without its label, and the picture's (C, H, W)."""
    try:
        image = image_files.read(path, not flags.gray)
    except DataError as error:
        raise UnreadableImage(str(error)) from error
    resized = flags.resize_height > 0 and flags.resize_width > 0
    if resized:
        image = image_files.resize(image, flags.resize_height, flags.resize_width)
    size = (image.shape[2], *image.shape[:2])
    datum = caffe_pb2.Datum()
    if not (flags.encoded or flags.encode_type):
        datum.channels, datum.height, datum.width = size
        datum.data = image.transpose(2, 0, 1).tobytes()
        datum.encoded = False
        return datum, size
    extension = os.path.splitext(path)[1].removeprefix(".").lower()
    wanted = flags.encode_type.lower() or extension
    same_type = extension == wanted or (wanted, extension) == ("jpg", "jpeg")
    if same_type and not resized:
        with open(path, "rb") as stream:  # the file as it is
            datum.data = stream.read()
    else:
        datum.data = encode(image, wanted, path)
    datum.encoded = True
    return datum, size


def encode(image: np.ndarray, extension: str, path: str, quality: int = 95) -> bytes:
    """An image (H, W, C), B G R or grey, as a file of the type that the extension means; JPEG in
    a quality, OpenCV's by default."""
    if extension not in _FORMATS:
        raise DataError(
            f"cannot encode {path} as '{extension}': expected one of {', '.join(_FORMATS)}. Name "
            "one with -encode_type."
        )
    name = _FORMATS[extension]
    options = {"quality": quality} if name == "JPEG" else {}
    pixels = image[:, :, 0] if image.shape[2] == 1 else image[:, :, ::-1]
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, name, **options)
    return stream.getvalue()


def _words(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


if __name__ == "__main__":
    run(main)
