"""Image files and image databases for cases, the same bytes of pixels under either program.

PNG and PPM files are written here, without an image library. JPEG files are stored in
cases/jpegs.json, because two versions of libjpeg write two files: `python case_images.py` makes
that file anew.
"""

import base64
import json
import os
import struct
import sys
import zlib

import arrays
import numpy as np

from caffe.proto import caffe_pb2

HERE = os.path.dirname(os.path.abspath(__file__))
JPEGS = os.path.join(HERE, "cases", "jpegs.json")

COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by channels


def png(pixels, chunks=()):
    """A PNG file's bytes; uint8 (H, W, C) or big-endian uint16; `chunks` come before the pixels."""
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPE[channels], 0, 0, 0)
    parts = [(b"IHDR", header)] + list(chunks) + [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def image_bytes(image):
    """The file that a description means.

    `base64`: the file itself. Else `array`, (H, W, C) of whole numbers, and `format`: png, png16
    or ppm (which may have a `maximum`); `gamma` and `palette` are chunks of a PNG.
    """
    if "base64" in image:
        return base64.b64decode(image["base64"])
    pixels = arrays.make(image["array"])
    if image["format"] == "ppm":
        height, width, channels = pixels.shape
        start = "P{}\n{} {}\n{}\n".format(
            6 if channels == 3 else 5, width, height, image.get("maximum", 255)
        )
        return start.encode() + pixels.astype(np.uint8).tobytes()
    chunks = [(b"gAMA", struct.pack(">I", image["gamma"]))] if "gamma" in image else []
    kind = {"png": np.uint8, "png16": np.dtype(">u2")}[image["format"]]
    return png(pixels.astype(kind), chunks)


def datum_of(record):
    """The Datum that a record's description means: `image`, or `array` (C, H, W), as `floats`."""
    datum = caffe_pb2.Datum(label=record["label"])
    if "image" in record:
        datum.encoded = True
        datum.data = image_bytes(record["image"])
        return datum
    array = arrays.make(record["array"])
    datum.channels, datum.height, datum.width = array.shape
    if record.get("floats"):
        datum.float_data.extend(float(v) for v in array.flat)
    else:
        datum.data = array.astype(np.uint8).tobytes()
    return datum


def records_of(description):
    """`records`: each with `key`, `label`, and what datum_of takes."""
    return [
        (record["key"].encode(), datum_of(record).SerializeToString())
        for record in description["records"]
    ]


def write_image(path, description):
    """`image`: see image_bytes."""
    with open(path, "wb") as stream:
        stream.write(image_bytes(description["image"]))


def write_lmdb(path, description):
    """`records`: see records_of."""
    import lmdb

    with lmdb.open(path, map_size=1 << 24) as environment:
        with environment.begin(write=True) as transaction:
            for key, value in records_of(description):
                transaction.put(key, value)


def write_leveldb(path, description):
    """`records`: see records_of."""
    import plyvel

    database = plyvel.DB(path, create_if_missing=True)
    for key, value in records_of(description):
        database.put(key, value)
    database.close()


WRITERS = {"image": write_image, "lmdb": write_lmdb, "leveldb": write_leveldb}


def picture(height, width, seed):
    """Smooth colours with some noise, uint8 (H, W, 3): what JPEG is made for."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[:height, :width]
    waves = [
        np.sin(x * rng.uniform(0.1, 0.5) + y * rng.uniform(0.1, 0.5) + rng.uniform(0, 6))
        for _ in range(3)
    ]
    return np.clip(
        127 + 100 * np.stack(waves, 2) + rng.normal(0, 8, (height, width, 3)), 0, 255
    ).astype(np.uint8)


def read_jpegs():
    """The stored JPEG files, as descriptions for image_bytes."""
    with open(JPEGS) as stream:
        return json.load(stream)


def write_jpegs():
    """Make cases/jpegs.json: 24 files of several sizes, qualities, samplings, some turned by EXIF,
    some grey."""
    import io

    from PIL import Image

    found = []
    for number in range(24):
        height, width = [(16, 20), (16, 20), (23, 17), (12, 31)][number % 4]
        image = Image.fromarray(picture(height, width, number))
        if number % 6 == 5:
            image = image.convert("L")
        exif = Image.Exif()
        if number % 8 >= 6:
            exif[0x0112] = 2 + number % 7
        stream = io.BytesIO()
        image.save(
            stream,
            "JPEG",
            quality=[60, 75, 90][number % 3],
            subsampling=number // 3 % 3,
            exif=exif,
            progressive=number % 5 == 0,
        )
        found.append({"base64": base64.b64encode(stream.getvalue()).decode()})
    with open(JPEGS, "w") as stream:
        json.dump(found, stream, indent=0)
        stream.write("\n")


if __name__ == "__main__":
    sys.exit(write_jpegs())
