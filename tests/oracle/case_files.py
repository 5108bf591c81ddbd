"""Files that a case needs beside its net: described in its JSON, written into its working folder.

A case's `files` is a list of descriptions, each with `name`, a relative path, and `kind`, a key of
WRITERS; the other keys are the kind's own. The numbers in files come from arrays.py, so a file is
the same under either program. To add a kind, write a function (path, description) and enter it in
WRITERS.
"""

import os

import arrays
import case_images
import numpy as np
from PIL import Image

from caffe.proto import caffe_pb2


def write_text(path, description):
    """`text`: the contents."""
    with open(path, "w") as stream:
        stream.write(description["text"])


def write_blobproto(path, description):
    """`array`: the numbers, with a shape; `legacy`: num, channels, height, width for the shape."""
    array = arrays.make(description["array"])
    blob = caffe_pb2.BlobProto()
    if description.get("legacy"):
        blob.num, blob.channels, blob.height, blob.width = array.shape
    else:
        blob.shape.dim.extend(array.shape)
    blob.data.extend(float(value) for value in array.flat)
    with open(path, "wb") as stream:
        stream.write(blob.SerializeToString())


def write_hdf5(path, description):
    """`datasets`: name → array, each with the `dtype` that it is stored as."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, spec in description["datasets"].items():
            file[name] = arrays.make(spec).astype(spec["dtype"])


def write_png(path, description):
    """`array`: the pixels, 0 to 255, H×W×3 in RGB or H×W."""
    Image.fromarray(arrays.make(description["array"]).astype(np.uint8)).save(path, "PNG")


WRITERS = {"text": write_text, "blobproto": write_blobproto, "hdf5": write_hdf5, "png": write_png}
WRITERS.update(case_images.WRITERS)


def write(descriptions, folder):
    """Write every described file below `folder`."""
    for description in descriptions:
        name, kind = description["name"], description["kind"]
        if kind not in WRITERS:
            known = ", ".join(sorted(WRITERS))
            raise ValueError(f"file {name}: unknown kind {kind!r}; kinds: {known}")
        path = os.path.normpath(os.path.join(folder, name))
        if not path.startswith(os.path.join(os.path.normpath(folder), "")):
            raise ValueError(f"file {name}: expected a path inside the case's working folder")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        WRITERS[kind](path, description)
