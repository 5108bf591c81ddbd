"""What the tests of weights files are made of.

The files in caffe/golden/ named snap_* were written by BVLC Caffe (golden/weights.py).
"""

from pathlib import Path

import numpy as np

from caffe.blob import Blob
from caffe.weights import wire

GOLDEN = Path(__file__).parent / "caffe" / "golden"


def as_blob(data, diff=None):
    blob = Blob(np.shape(data))
    blob.data[...] = data
    if diff is not None:
        blob.diff[...] = diff
    return blob


def empty_net(values):
    """Blobs of the golden net's shapes, all zero, ip2 sharing with ip1."""
    layers = {}
    for key in values:
        if key.endswith("diff"):
            continue
        name = key.split(".")[0]
        layers.setdefault(name, []).append(Blob(values[key].shape))
    layers["ip2"][0].share_data(layers["ip1"][0])
    return [("data", []), *layers.items()]


def write(tmp_path, net):
    path = tmp_path / "w.caffemodel"
    path.write_bytes(net if isinstance(net, bytes) else net.SerializeToString())
    return path


def legacy_blob(blob, array):
    array = np.asarray(array, np.float32)
    dims = (1,) * (4 - array.ndim) + array.shape
    blob.num, blob.channels, blob.height, blob.width = dims
    blob.data.extend(array.ravel().tolist())


def net_with(blob: bytes) -> bytes:
    layer = b"\x0a\x01a" + b"\x3a" + wire.varint(len(blob)) + blob
    return b"\xa2\x06" + wire.varint(len(layer)) + layer


def nvidia_blob(kind, numbers, shape):
    """A BlobProto of NVIDIA Caffe: fields 10 to 13, the numbers as bytes of one type."""
    dims = b"".join(wire.varint(d) for d in shape)
    packed = b"\x0a" + wire.varint(len(dims)) + dims
    raw = np.asarray(numbers, kind).tobytes()
    code = wire.varint({"<f8": 0, "<f4": 1, "<f2": 2, "<i4": 3}[kind])
    data = b"\x3a" + wire.varint(len(packed)) + packed + b"\x50" + code + b"\x58" + code
    return data + b"".join(tag + wire.varint(len(raw)) + raw for tag in (b"\x62", b"\x6a"))
